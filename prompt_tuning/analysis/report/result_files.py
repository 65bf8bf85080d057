"""The results files of many run directories: finding and merging them."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.result_groups import Run, Setting, from_row
from prompt_tuning.types import UserError

_AFTER_A_SOURCE = ("spot", "multi_task_model_tuning")


def read_runs(directories: Sequence[str | Path]) -> list[Run]:
    """Reads every `results.json` in and below run directories.

    A directory named `NAME=VALUE` is a point of a sweep; the setting of its runs has the point
    unless the rest of the setting tells it. A row found again with the same score is counted once.

    Raises:
        UserError: A directory is missing or has no results, a file is damaged, or two rows of one
            setting, task and seed have different scores.
    """
    runs = [
        run
        for file, points in _results_files(directories).items()
        for run in _with_sources([from_row(row, points, file) for row in results.read(file)])
    ]
    for one, other in _conflicts(runs):
        what = f"{one.task} by {one.setting.method} with seed {one.seed}"
        if one.file == other.file:
            raise UserError(
                f"{one.file} has {what} at {one.score} and at {other.score}, and nothing tells "
                "them apart; score them in directories of their own, named NAME=VALUE for what "
                "differs"
            )
        raise UserError(
            f"{one.file} has {what} at {one.score}, {other.file} at {other.score}, and nothing "
            "tells them apart; leave one of them out of REPORT_DIRS, or name their directories "
            "NAME=VALUE for what differs"
        )
    for name in dict.fromkeys(name for run in runs for name, _ in run.points):
        runs = _simplified(runs, name)
    return list({run.identity: run for run in reversed(runs)}.values())[::-1]


def _with_sources(runs: Sequence[Run]) -> list[Run]:
    """Returns the runs of a file, with those marked that others start from.

    They are the runs of a setting all of whose tasks are sources of others, unless it has the tasks
    of all those others: then it is what they are compared with.
    """
    after = [run for run in runs if run.setting.method in _AFTER_A_SOURCE]
    sources, targets = {run.setting.source for run in after}, {run.task for run in after}
    tasks: dict[Setting, set[str]] = {}
    for run in runs:
        tasks.setdefault(run.setting, set()).add(run.task)
    marked = []
    for run in runs:
        setting = run.setting
        of_sources = tasks[setting] <= sources and not targets <= tasks[setting]
        if setting.source is None and of_sources:
            method = f"{setting.method} (source)"
            setting = dataclasses.replace(setting, method=method, points=())
            run = dataclasses.replace(run, setting=setting, is_source=True)
        marked.append(run)
    return marked


def _conflicts(runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """Yields runs of one identity with different scores."""
    known: dict[Any, Run] = {}
    for run in runs:
        first = known.setdefault(run.identity, run)
        if first.score != run.score:
            yield first, run


def _simplified(runs: Sequence[Run], name: str) -> list[Run]:
    """Returns the runs without their point `name` where the rest of the setting tells it anyway."""
    simpler = [_without_point(run, name) for run in runs]
    values: dict[Setting, set[str]] = {}
    for run in simpler:
        values.setdefault(run.setting, set()).update(v for n, v in run.points if n == name)
    several = len(set().union(*values.values())) > 1
    unclear = {setting for setting, points in values.items() if len(points) > 1 or not several}
    unclear |= {run.setting for run, _ in _conflicts(simpler)}
    return [
        run if other.setting in unclear else other for run, other in zip(runs, simpler, strict=True)
    ]


def _without_point(run: Run, name: str) -> Run:
    points = tuple(point for point in run.setting.points if point[0] != name)
    return dataclasses.replace(run, setting=dataclasses.replace(run.setting, points=points))


def _results_files(directories: Sequence[str | Path]) -> dict[Path, tuple[tuple[str, str], ...]]:
    """Returns each results file once, with the points that the names of its directories give."""
    points_of: dict[Path, tuple[tuple[str, str], ...]] = {}
    for directory in directories:
        top = Path(directory).expanduser()
        if not top.is_dir():
            raise UserError(f"REPORT_DIRS: there is no directory '{directory}'; name a MODEL_DIR")
        files = list(_walk(top))
        if not files:
            raise UserError(
                f"REPORT_DIRS: no results.json in or below '{directory}'; name the MODEL_DIR of a "
                "finished run, or a directory of several"
            )
        for file in files:
            names = (top.resolve().name, *file.parent.relative_to(top).parts)
            parts = [name.partition("=") for name in names]
            points = tuple((name, value) for name, _, value in parts if value)
            known = points_of.get(file.resolve(), ())
            points_of[file.resolve()] = max(known, points, key=len)
    return points_of


def _walk(top: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(top):
        # A run's own checkpoints and prompts hold many files and no results.
        if "results.json" in files or "operative_config.gin" in files:
            folders[:] = [name for name in folders if name not in ("checkpoints", "prompts")]
        folders.sort()
        if "results.json" in files:
            yield Path(folder) / "results.json"
