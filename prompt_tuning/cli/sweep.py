"""Sweeps: one command at several points, each with settings and a directory of its own.

`SWEEP = {"length=1": {"PROMPT_LENGTH": 1}, ...}` in a gin file, or on the command line, makes a
command that has a MODEL_DIR run once per point, in order, in `MODEL_DIR/<point>/`. Points that are
finished are passed over, so that a sweep that was stopped goes on where it was.

A point with `{}` in its name is several, and a list among its settings has a value for each:
`{"length={}": {"PROMPT_LENGTH": [1, 5]}}`. In its name and its texts `{}` is the value of its first
list; a list called `{}` is for that alone.
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

from prompt_tuning.cli import configuration, gin_config, gin_files
from prompt_tuning.cli.configuration import Config
from prompt_tuning.cli.gin_files import Binding, Key, Macro
from prompt_tuning.storage import write_json
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.types import UserError

if TYPE_CHECKING:
    from prompt_tuning.analysis.table import Table

_SWEEP = Key("", gin_config.SWEEP, "")
_MODEL_DIR = Key("", "MODEL_DIR", "")
_HOLE = "{}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]*")


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Attributes:
        name: Names it, and its directory.
        settings: What it sets, as a line of text.
        config: What the command uses there.
    """

    name: str
    settings: str
    config: Config

    @property
    def text(self) -> str:
        """Returns its resolved configuration as a gin file."""
        return configuration.text(self.config)

    @property
    def digest(self) -> str:
        """Identifies the configuration."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def points(config: Config, command: str) -> list[Point]:
    """Returns the points at which a command runs; none where it runs as `config` stands.

    All points are resolved and their settings checked, so that a mistake in the last one is found
    before the first one runs.

    Raises:
        UserError: The sweep is no dictionary of dictionaries, has lists of unequal lengths, names a
            point twice or so that it cannot be a directory, sets what does not exist or has no
            effect, or sets what the command line sets too.
    """
    sweep = gin_config.sweep_of(config)
    if sweep is None:
        return []
    if _MODEL_DIR not in gin_config.used_by(config, command).bindings:
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


def directory(config: Config) -> Path:
    """Returns the directory of the sweep, which holds those of the points."""
    return RunDirectory(_model_dir(config)).path


def run(
    swept: Sequence[Point],
    bind: Callable[[Config], Callable[[], object]],
    model_dir: Path | None,
    console: Console,
) -> None:
    """Runs points one after another, and prints a summary of their results.

    Args:
        swept: The points.
        bind: Returns the command with what it uses, ready to be called.
        model_dir: Directory of the sweep; None runs every point and keeps no record (a dry run).
        console: Where to print.
    """
    record = None if model_dir is None else model_dir / "sweep.json"
    finished = {} if record is None else _read(record)
    for number, point in enumerate(swept, start=1):
        heading = f"[{number}/{len(swept)}] {point.name}: {point.settings}"
        if finished.get(point.name) == point.digest:
            console.print(f"{heading}: finished before", highlight=False, markup=False)
            continue
        console.print(heading, highlight=False, markup=False)
        bind(point.config)()
        if record is not None:
            finished[point.name] = point.digest
            write_json(record, finished)
        gc.collect()  # The model of this point must go before that of the next one comes.
        jax.clear_caches()
    if model_dir is not None:
        from prompt_tuning.analysis.table import rendered

        console.print(rendered(_summary(swept, model_dir)))


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
    """Returns the settings of each point by its name, each `{}` replaced."""
    points: dict[str, dict[str, Any]] = {}
    for template, settings in sweep.value.items():
        lists = [value for value in settings.values() if isinstance(value, list)]
        several, lengths = _HOLE in template, set(map(len, lists))
        if several and (len(lengths) != 1 or 0 in lengths):
            raise UserError(
                f"{sweep.place}: point '{template}' needs a list of values, or several lists of "
                "one length"
            )
        for number in range(len(lists[0]) if several else 1):
            name, point = template, settings
            if several:
                value = str(lists[0][number])
                name, point = template.replace(_HOLE, value), _filled(settings, number, value)
            if name in points:
                raise UserError(f"{sweep.place}: two points are called '{name}'")
            points[name] = point
    return points


def _filled(settings: Mapping[str, Any], number: int, value: str) -> dict[str, Any]:
    """Returns the settings of one of several points."""
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
        raise UserError(f"{place}: a point's name is made of letters, digits and any of . _ = + -")
    settings = [gin_files.setting(key, value, place) for key, value in point.items()]
    for setting in settings:
        if setting.key in (_MODEL_DIR, _SWEEP):
            raise UserError(f"{place}: a point cannot set {setting.key}")
        before = config.bindings.get(setting.key)
        if before is not None and before.from_command_line:
            raise UserError(f"{before.place}: the sweep sets {setting.key} at each point")
    changed = gin_config.override(config, settings)
    used = gin_config.operative(changed, command)
    for setting in settings:
        if setting.key not in used.bindings:
            raise UserError(f"{place}: {setting.key} has no effect on {command!r}")
    folder = gin_files.setting("MODEL_DIR", str(Path(_model_dir(used)) / name), place)
    final = gin_config.operative(gin_config.override(changed, [folder]), command)
    try:
        gin_config.arguments(final, command)  # What it builds checks values.
    except UserError as error:
        raise UserError(f"{place}: {str(error).splitlines()[0]}") from None
    described = ", ".join(f"{s.key} = {s.value!r}" for s in settings)
    return Point(name, described or "as the files have it", final)


def _model_dir(config: Config) -> str:
    value = config.bindings[_MODEL_DIR].value
    while isinstance(value, Macro):
        binding = config.macro(value.name)
        assert binding is not None  # It was checked when the files were read.
        value = binding.value
    return value


def _read(record: Path) -> dict[str, str]:
    """Returns the digest of each finished point."""
    try:
        return dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _summary(swept: Sequence[Point], model_dir: Path) -> "Table":
    # Imported here because only a sweep that is over needs them.
    from prompt_tuning.analysis import results
    from prompt_tuning.analysis.statistics import Spread, summarize
    from prompt_tuning.analysis.table import Column, Line, Score, Table

    columns = [Column(name) for name in ("point", "task", "method", "metric")]
    columns += [Column(name, numeric=True) for name in ("score", "runs")]
    lines = []
    for point in swept:
        for line in summarize(results.read_records(model_dir / point.name / "results.json")):
            score = Score(Spread(line["mean"], line["std"], line["n"]))
            texts = (line["target"], line["method"], line["metric"])
            lines.append(Line((point.name, *texts, score, line["n"])))
    return Table(columns, lines, "Sweep")
