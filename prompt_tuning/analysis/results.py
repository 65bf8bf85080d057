"""The file `results.json`: one record per row, and a summary over seeds."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning import storage
from prompt_tuning.analysis.statistics import Record, summarize
from prompt_tuning.types import UserError

FIELDS: Mapping[str, tuple[type, ...]] = {
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
"""The fields of a record and their types; None where a field does not apply."""


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Writes records and their summary as JSON, atomically.

    Raises:
        ValueError: A record is malformed, which is a bug in the caller.
    """
    for index, record in enumerate(records):
        problem = _problem(record)
        if problem:
            raise ValueError(f"row {index}: {problem}")
    content = {"rows": list(records), "summary": summarize(records)}
    storage.write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_records(path: Path) -> list[Record]:
    """Reads the records of a results file.

    Raises:
        UserError: The file is missing, damaged or of another format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no results here; name the MODEL_DIR of a finished run") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a results file: {error}; run the command again") from None
    records = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(records, list):
        raise UserError(f"{path}: not a results file, it has no rows; run the command again")
    for index, record in enumerate(records):
        problem = _problem(record)
        if problem:
            raise UserError(f"{path}: row {index}: {problem}; run the command again")
    return records


def _problem(record: Any) -> str | None:
    if not isinstance(record, Mapping):
        return "it is not an object"
    if set(record) != set(FIELDS):
        missing, extra = sorted(set(FIELDS) - set(record)), sorted(set(record) - set(FIELDS))
        return f"missing {missing}, unknown {extra}"
    for name, kinds in FIELDS.items():
        if not isinstance(record[name], kinds) or isinstance(record[name], bool):
            return f"{name} is {record[name]!r}"
    numbers = [number for number in (record["score"], record["seconds"]) if number is not None]
    for point in record["curve"] or []:
        if not isinstance(point, list | tuple) or len(point) != 2:
            return f"curve has {point!r} where [step, score] belongs"
        numbers += point
    for number in numbers:
        if not (isinstance(number, int | float) and math.isfinite(number)):
            return f"{number!r} is not a finite number"
    return None
