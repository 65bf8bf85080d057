"""Sweeps: one command at several points, each with its own settings and directory.

`SWEEP = {"length=1": {"PROMPT_LENGTH": 1}, ...}` runs a command that has a MODEL_DIR once per
point, in order, in `MODEL_DIR/<point>/`. Finished points are skipped, so an interrupted sweep
resumes.

A name with `{}` stands for several points, and lists among its settings have a value for each:
`{"length={}": {"PROMPT_LENGTH": [1, 5]}}`. In the name and in strings, `{}` becomes the value of
the first list; a list with the key `{}` sets nothing else.
"""

import dataclasses
import gc
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
from rich.console import Console

from prompt_tuning.cli.configuration import Config, config_text, used_by
from prompt_tuning.cli.gin_config import (
    SWEEP,
    build_arguments,
    operative_config,
    override_config,
)
from prompt_tuning.cli.gin_files import Binding, Key, make_binding
from prompt_tuning.storage import write_json
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.types import UserError

if TYPE_CHECKING:
    from prompt_tuning.analysis.table import Table

_MODEL_DIR = Key("", "MODEL_DIR", "")
_HOLE = "{}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        name: The name of the point and of its directory.
        settings: Its settings, as a line of text.
        config: Its configuration, as far as the command uses it.
    """

    name: str
    settings: str
    config: Config

    @property
    def text(self) -> str:
        """Returns its configuration as a gin file."""
        return config_text(self.config)

    @property
    def digest(self) -> str:
        """Identifies the configuration."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def sweep_points(config: Config, command: str) -> list[Point]:
    """Returns the points of a configuration's sweep; none if it has no sweep.

    Resolves and checks all points, so that a mistake in the last one is found before the first one
    runs.

    Raises:
        UserError: The sweep is not a dictionary of dictionaries, has lists of unequal lengths or
            two points of one name, a name cannot be a directory, or a setting is unknown, has no
            effect or is set on the command line too.
    """
    sweep = config.bindings[SWEEP]
    if sweep.value is None:
        return []
    if _MODEL_DIR not in used_by(config, command).bindings:
        if sweep.from_command_line:
            raise UserError(
                f"{sweep.place}: it has no effect on {command!r}, which has no MODEL_DIR"
            )
        return []
    if not _is_sweep(sweep.value):
        raise UserError(
            f"{sweep.place}: SWEEP must be a dictionary of points, each a dictionary of settings, "
            'as in {"length=1": {"PROMPT_LENGTH": 1}}'
        )
    single = _single_points(sweep)
    return [_point(config, command, name, settings, sweep) for name, settings in single.items()]


def sweep_directory(config: Config) -> Path:
    """Returns the directory of the sweep, which has a directory for each point."""
    return RunDirectory(_model_dir(config)).path


def run_points(
    points: Sequence[Point],
    bind: Callable[[Config], Callable[[], object]],
    model_dir: Path | None,
    console: Console,
) -> None:
    """Runs points one after another and prints a summary of their results.

    Args:
        points: The points.
        bind: Returns the command with its arguments from a configuration.
        model_dir: Directory of the sweep; None runs every point and keeps no record (a dry run).
        console: Where to print.
    """
    record = None if model_dir is None else model_dir / "sweep.json"
    finished = {} if record is None else _read_record(record)
    for number, point in enumerate(points, start=1):
        heading = f"[{number}/{len(points)}] {point.name}: {point.settings}"
        if finished.get(point.name) == point.digest:
            console.out(f"{heading}: finished before")
            continue
        console.out(heading)
        bind(point.config)()
        if record is not None:
            finished[point.name] = point.digest
            write_json(record, finished)
        gc.collect()  # Frees this point's model before the next point opens its own.
        jax.clear_caches()
    if model_dir is not None:
        from prompt_tuning.analysis.table import rendered

        console.print(rendered(_summary(points, model_dir)))


def _is_sweep(value: object) -> bool:
    if not isinstance(value, dict) or not value:
        return False
    return all(
        isinstance(name, str)
        and isinstance(settings, dict)
        and all(isinstance(key, str) for key in settings)
        for name, settings in value.items()
    )


def _single_points(sweep: Binding) -> dict[str, dict[str, Any]]:
    """Returns the settings of each point by its name, with every `{}` replaced."""
    points: dict[str, dict[str, Any]] = {}
    for template, settings in sweep.value.items():
        lists = [value for value in settings.values() if isinstance(value, list)]
        several, lengths = _HOLE in template, set(map(len, lists))
        if several and (len(lengths) != 1 or 0 in lengths):
            raise UserError(
                f"{sweep.place}: point '{template}' needs a list of values, or several lists of "
                "the same length"
            )
        for number in range(len(lists[0]) if several else 1):
            name, point = template, settings
            if several:
                value = str(lists[0][number])
                name, point = template.replace(_HOLE, value), _fill(settings, number, value)
            if name in points:
                raise UserError(f"{sweep.place}: two points are called '{name}'")
            points[name] = point
    return points


def _fill(settings: Mapping[str, Any], number: int, value: str) -> dict[str, Any]:
    """Returns the settings of point `number` of several, with `{}` replaced by `value`."""
    filled = {}
    for key, setting in settings.items():
        if isinstance(setting, list):
            setting = setting[number]
        elif isinstance(setting, str):
            setting = setting.replace(_HOLE, value)
        filled[key] = setting
    filled.pop(_HOLE, None)
    return filled


def _point(
    config: Config, command: str, name: str, point: Mapping[str, Any], sweep: Binding
) -> Point:
    place = f"point '{name}' ({sweep.place})"
    if not _NAME.fullmatch(name):
        raise UserError(f"{place}: a point's name may have letters, digits and . _ = + - only")
    settings = [make_binding(key, value, place) for key, value in point.items()]
    for setting in settings:
        if setting.key in (_MODEL_DIR, SWEEP):
            raise UserError(f"{place}: a point cannot set {setting.key}")
        before = config.bindings.get(setting.key)
        if before is not None and before.from_command_line:
            raise UserError(f"{before.place}: the sweep sets {setting.key} at each point")
    changed = override_config(config, settings)
    used = operative_config(changed, command)
    for setting in settings:
        if setting.key not in used.bindings:
            raise UserError(f"{place}: {setting.key} has no effect on {command!r}")
    folder = make_binding("MODEL_DIR", str(Path(_model_dir(used)) / name), place)
    final = operative_config(override_config(changed, [folder]), command)
    try:
        build_arguments(final, command)  # The objects it builds check their values.
    except UserError as error:
        raise UserError(f"{place}: {str(error).splitlines()[0]}") from None
    described = ", ".join(f"{s.key} = {s.value!r}" for s in settings)
    return Point(name, described or "as the files have it", final)


def _model_dir(config: Config) -> str:
    return config.resolve(config.bindings[_MODEL_DIR].value)


def _read_record(record: Path) -> dict[str, str]:
    """Reads the digest of each finished point by its name."""
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _summary(points: Sequence[Point], model_dir: Path) -> "Table":
    # Imported here because only a finished sweep needs them.
    from prompt_tuning.analysis import results
    from prompt_tuning.analysis.statistics import Spread, summarize
    from prompt_tuning.analysis.table import Column, Line, Score, Table

    columns = [Column(name) for name in ("point", "task", "method", "metric")]
    columns += [Column(name, numeric=True) for name in ("score", "runs")]
    lines = []
    for point in points:
        for line in summarize(results.read_records(model_dir / point.name / "results.json")):
            score = Score(Spread(line["mean"], line["std"], line["n"]))
            texts = (line["target"], line["method"], line["metric"])
            lines.append(Line((point.name, *texts, score, line["n"])))
    return Table(columns, lines, "Sweep")
