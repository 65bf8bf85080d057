"""Sweeps: scores against the value that was varied, as a table and as lines of a chart.

The figures of Lester et al. (2021) on prompt length, initialization, pre-training objective and
steps of LM adaptation are of this kind.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from prompt_tuning.analysis.figures import Series, as_numbers, line_chart
from prompt_tuning.analysis.report.glue import GLUE, SUPER_GLUE
from prompt_tuning.analysis.report.result_groups import Run, average, task_score
from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.table import Column, Line, Score, Table
from prompt_tuning.data.datasets.dataset import UNPREFIXED


@dataclasses.dataclass(frozen=True)
class SweepLine:
    """Scores of a task, or of a benchmark's average, by the value of the sweep."""

    described: Mapping[str, str]
    is_average: bool
    scores: Mapping[str, Spread]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What was varied, its values in order, and the scores."""

    name: str
    values: tuple[str, ...]
    lines: tuple[SweepLine, ...]

    @property
    def headings(self) -> list[str]:
        """What tells the lines apart, `task` first."""
        described = [line.described for line in self.lines]
        names = dict.fromkeys(name for of_line in described for name in of_line)
        values = {name: {of_line.get(name) for of_line in described} for name in names}
        differ = [name for name in names if name == "task" or len(values[name]) > 1]
        needed = [name for name in differ if name != "run"]
        told_apart = {tuple(of_line.get(name) for name in needed) for of_line in described}
        return needed if len(told_apart) == len(described) else differ

    def table(self) -> Table:
        """Returns a line for each task and setting, a column for each value."""
        lines = [
            Line(
                [
                    *(line.described.get(name, "-") for name in self.headings),
                    *(Score(line.scores.get(value)) for value in self.values),
                ]
            )
            for line in self.lines
        ]
        columns = [
            *map(Column, self.headings),
            *(Column(value, numeric=True) for value in self.values),
        ]
        note = "Scores 0-100: mean ± standard deviation over seeds."
        return Table(columns, lines, f"Scores by {self.name}", note)

    def chart(self, path: Path) -> None:
        """Draws a line for each average where there are any, else for each task."""
        lines = [line for line in self.lines if line.is_average] or self.lines
        tasks = list(dict.fromkeys(line.described["task"] for line in lines))
        headings = [name for name in self.headings if name != "task" or len(tasks) > 1]
        series = [
            Series(", ".join(line.described.get(name, "-") for name in headings), line.scores)
            for line in lines
        ]
        title = f"{tasks[0]} by {self.name}" if len(tasks) == 1 else f"Scores by {self.name}"
        line_chart(series, self.values, path, title=title, axis=self.name)


def find_sweeps(runs: Sequence[Run]) -> list[Sweep]:
    """Returns the sweeps of the runs: those in directories `NAME=VALUE`, by their name."""
    by_name: dict[str, dict[Path, dict[str, list[Run]]]] = {}
    for run in runs:
        for name, value in () if run.is_source else run.points:
            root = _root(run.file, f"{name}={value}")
            by_name.setdefault(name, {}).setdefault(root, {}).setdefault(value, []).append(run)
    sweeps = []
    for name, roots in by_name.items():
        values = list(dict.fromkeys(value for points in roots.values() for value in points))
        numbers = as_numbers(values)
        if numbers is not None:
            values = [value for _, value in sorted(zip(numbers, values, strict=True))]
        lines = [line for root, points in roots.items() for line in _lines(name, root, points)]
        sweeps.append(Sweep(name, tuple(values), tuple(lines)))
    return sweeps


def _root(file: Path, point: str) -> Path:
    """Returns the directory of the sweep: the one that its point's directory is in."""
    return next(folder.parent for folder in file.parents if folder.name == point)


def _lines(name: str, root: Path, points: Mapping[str, Sequence[Run]]) -> Iterator[SweepLine]:
    """Yields the averages, then the tasks, of each setting of one sweep.

    What differs between points, but is one within each, is what the sweep set: no setting has it.
    """
    described = {value: [run.setting.described() for run in runs] for value, runs in points.items()}
    headings = dict.fromkeys(key for d in itertools.chain(*described.values()) for key in d)
    settings: dict[tuple[tuple[str, str], ...], dict[str, list[Run]]] = {}
    shared_headings = []
    for heading in headings:
        of_points = [{d.get(heading, "-") for d in of_point} for of_point in described.values()]
        swept = all(len(of_point) == 1 for of_point in of_points) and len(set.union(*of_points)) > 1
        if not swept and heading not in (name, "inputs"):
            shared_headings.append(heading)
    for value, runs in points.items():
        for run, of_run in zip(runs, described[value], strict=True):
            key = tuple((heading, of_run.get(heading, "-")) for heading in shared_headings)
            settings.setdefault(key, {}).setdefault(value, []).append(run)
    for key, by_value in settings.items():
        shared = {"run": root.name, **dict(key)}
        for title, is_average, scores in _scores(by_value):
            yield SweepLine({"task": title, **shared}, is_average, scores)


def _scores(
    by_value: Mapping[str, Sequence[Run]],
) -> Iterator[tuple[str, bool, dict[str, Spread]]]:
    every = [run for runs in by_value.values() for run in runs]
    for prefixed in dict.fromkeys(run.setting.prefixed for run in every):
        suffix, remark = ("", "") if prefixed else (UNPREFIXED, ", unprefixed")
        alike = {
            value: [run for run in runs if run.setting.prefixed == prefixed]
            for value, runs in by_value.items()
        }
        for benchmark in (GLUE, SUPER_GLUE):
            means = {value: average(runs, tuple(benchmark.tasks)) for value, runs in alike.items()}
            means = {value: mean for value, mean in means.items() if mean is not None}
            if means:
                yield f"{benchmark.title} average{remark}", True, means
        for task in dict.fromkeys(run.task for runs in alike.values() for run in runs):
            scores = {value: task_score(runs, task) for value, runs in alike.items()}
            yield task + suffix, False, {v: score for v, score in scores.items() if score}
