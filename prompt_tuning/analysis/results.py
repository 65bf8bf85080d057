"""The file `results.json`: one row for each training run, and their summary over seeds."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning import storage
from prompt_tuning.analysis.statistics import Row, summarize
from prompt_tuning.types import UserError

COLUMNS: Mapping[str, tuple[type, ...]] = {
    "backbone": (str,),
    "method": (str,),
    "init": (str, type(None)),
    "source": (str, type(None)),
    "target": (str,),
    "seed": (int, type(None)),
    "metric": (str,),
    "split": (str, type(None)),
    "score": (float, int, type(None)),
    "step": (int, type(None)),
    "steps": (int, type(None)),
    "curve": (list, tuple, type(None)),
    "seconds": (float, int, type(None)),
}
"""What a row has; None is for what does not apply."""


def write(path: Path, rows: Sequence[Row]) -> None:
    """Writes rows and their summary as JSON, at once or not at all.

    Raises:
        ValueError: for a row that is not of the format; that is a mistake of the program.
    """
    for index, row in enumerate(rows):
        problem = _problem(row)
        if problem:
            raise ValueError(f"row {index}: {problem}")
    content = {"rows": list(rows), "summary": summarize(rows)}
    storage.write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read(path: Path) -> list[Row]:
    """Returns the rows of a results file.

    Raises:
        UserError: when the file is missing, damaged or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no results here; name the MODEL_DIR of a finished run") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a results file: {error}; run the command again") from None
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        raise UserError(f"{path}: not a results file, it has no rows; run the command again")
    for index, row in enumerate(rows):
        problem = _problem(row)
        if problem:
            raise UserError(f"{path}: row {index}: {problem}; run the command again")
    return rows


def _problem(row: Any) -> str | None:
    if not isinstance(row, Mapping):
        return "it is not an object"
    if set(row) != set(COLUMNS):
        missing, extra = sorted(set(COLUMNS) - set(row)), sorted(set(row) - set(COLUMNS))
        return f"missing {missing}, unknown {extra}"
    for name, kinds in COLUMNS.items():
        if not isinstance(row[name], kinds) or isinstance(row[name], bool):
            return f"{name} is {row[name]!r}"
    numbers = [number for number in (row["score"], row["seconds"]) if number is not None]
    for point in row["curve"] or []:
        if not isinstance(point, list | tuple) or len(point) != 2:
            return f"curve has {point!r} where [step, score] belongs"
        numbers += point
    for number in numbers:
        if not (isinstance(number, int | float) and math.isfinite(number)):
            return f"{number!r} is not a finite number"
    return None
