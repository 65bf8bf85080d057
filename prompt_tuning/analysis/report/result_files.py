"""The results files of many run directories: finding and merging them."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.analysis.report.result_groups import Result, Setting, by_setting, result_of
from prompt_tuning.analysis.results import read_records
from prompt_tuning.types import UserError

_AFTER_A_SOURCE = ("spot", "multi_task_model_tuning")


def read_results(directories: Sequence[str | Path]) -> list[Result]:
    """Reads every `results.json` in and below run directories.

    A directory named `NAME=VALUE` is a point of a sweep. The point becomes part of the setting of
    its results unless the rest of the setting already implies it. Results that several files repeat
    with the same score count once.

    Raises:
        UserError: A directory is missing or has no results, a file is damaged, or two records of
            one setting, task and seed have different scores.
    """
    results = [
        result
        for file, points in _results_files(directories).items()
        for result in _mark_sources([result_of(r, points, file) for r in read_records(file)])
    ]
    for one, other in _conflicts(results):
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
    for name in dict.fromkeys(name for result in results for name, _ in result.points):
        results = _drop_implied_point(results, name)
    return list({result.identity: result for result in reversed(results)}.values())[::-1]


def _mark_sources(results: Sequence[Result]) -> list[Result]:
    """Returns the results of a file, marking those that only tuned source prompts.

    A setting only tuned source prompts if every task of it is the source of a transfer, and some
    target of transfer is not among its tasks. Otherwise it is a baseline.
    """
    transfers = [r for r in results if r.setting.method in _AFTER_A_SOURCE]
    sources, targets = {r.setting.source for r in transfers}, {r.task for r in transfers}
    tasks = {setting: {r.task for r in group} for setting, group in by_setting(results).items()}
    marked = []
    for result in results:
        setting = result.setting
        of_sources = tasks[setting] <= sources and not targets <= tasks[setting]
        if setting.source is None and of_sources:
            method = f"{setting.method} (source)"
            setting = dataclasses.replace(setting, method=method, points=())
            result = dataclasses.replace(result, setting=setting, is_source=True)
        marked.append(result)
    return marked


def _conflicts(results: Sequence[Result]) -> Iterator[tuple[Result, Result]]:
    """Yields pairs of results with one identity and different scores."""
    known: dict[Any, Result] = {}
    for result in results:
        first = known.setdefault(result.identity, result)
        if first.score != result.score:
            yield first, result


def _drop_implied_point(results: Sequence[Result], name: str) -> list[Result]:
    """Drops the sweep point `name` from settings that are told apart without it."""
    simpler = [_without_point(result, name) for result in results]
    values: dict[Setting, set[str]] = {
        setting: {value for r in group for n, value in r.points if n == name}
        for setting, group in by_setting(simpler).items()
    }
    several = len(set().union(*values.values())) > 1
    unclear = {setting for setting, points in values.items() if len(points) > 1 or not several}
    unclear |= {result.setting for result, _ in _conflicts(simpler)}
    return [
        result if without.setting in unclear else without
        for result, without in zip(results, simpler, strict=True)
    ]


def _without_point(result: Result, name: str) -> Result:
    points = tuple(point for point in result.setting.points if point[0] != name)
    return dataclasses.replace(result, setting=dataclasses.replace(result.setting, points=points))


def _results_files(directories: Sequence[str | Path]) -> dict[Path, tuple[tuple[str, str], ...]]:
    """Returns each results file once, with the sweep points in the names of its directories."""
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
