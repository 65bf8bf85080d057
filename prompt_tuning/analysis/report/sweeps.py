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
from prompt_tuning.analysis.report.result_groups import Result, average, task_score
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
    """The name of what was varied, its values in order, and the scores."""

    name: str
    values: tuple[str, ...]
    lines: tuple[SweepLine, ...]

    @property
    def headings(self) -> list[str]:
        """Headings that tell the lines apart, `task` first."""
        described = [line.described for line in self.lines]
        names = dict.fromkeys(itertools.chain(*described))
        values = {name: {cells.get(name) for cells in described} for name in names}
        differ = [name for name in names if name == "task" or len(values[name]) > 1]
        needed = [name for name in differ if name != "run"]
        distinct = {tuple(cells.get(name) for name in needed) for cells in described}
        return needed if len(distinct) == len(described) else differ

    def table(self) -> Table:
        """Returns a line for each task and setting, a column for each value."""
        names = self.headings
        lines = []
        for line in self.lines:
            scores = [Score(line.scores.get(value)) for value in self.values]
            lines.append(Line([*(line.described.get(name, "-") for name in names), *scores]))
        columns = [*map(Column, names), *(Column(value, numeric=True) for value in self.values)]
        note = "Scores 0-100: mean ± standard deviation over seeds."
        return Table(columns, lines, f"Scores by {self.name}", note)

    def chart(self, path: Path) -> None:
        """Draws a line for each average, or for each task where there are no averages."""
        lines = [line for line in self.lines if line.is_average] or self.lines
        tasks = list(dict.fromkeys(line.described["task"] for line in lines))
        headings = [name for name in self.headings if name != "task" or len(tasks) > 1]
        series = [
            Series(", ".join(line.described.get(name, "-") for name in headings), line.scores)
            for line in lines
        ]
        title = f"{tasks[0]} by {self.name}" if len(tasks) == 1 else f"Scores by {self.name}"
        line_chart(series, self.values, path, title=title, axis=self.name)


def find_sweeps(results: Sequence[Result]) -> list[Sweep]:
    """Returns the sweeps among the results: one for each NAME of directories `NAME=VALUE`."""
    by_name: dict[str, dict[Path, dict[str, list[Result]]]] = {}
    for result in results:
        for name, value in () if result.is_source else result.points:
            root = _root(result.file, f"{name}={value}")
            by_name.setdefault(name, {}).setdefault(root, {}).setdefault(value, []).append(result)
    sweeps = []
    for name, by_root in by_name.items():
        values = list(dict.fromkeys(itertools.chain(*by_root.values())))
        numbers = as_numbers(values)
        if numbers is not None:
            values = [value for _, value in sorted(zip(numbers, values, strict=True))]
        lines = itertools.chain(*(_lines(name, root, by_root[root]) for root in by_root))
        sweeps.append(Sweep(name, tuple(values), tuple(lines)))
    return sweeps


def _root(file: Path, point: str) -> Path:
    """Returns the directory of a sweep: the parent of its point's directory."""
    return next(folder.parent for folder in file.parents if folder.name == point)


def _lines(name: str, root: Path, by_value: Mapping[str, Sequence[Result]]) -> Iterator[SweepLine]:
    """Yields the averages, then the tasks, of each setting of one sweep.

    A heading that differs between points but not within them was set by the sweep, and is left out
    of the setting.
    """
    described = {
        value: [result.setting.described() for result in results]
        for value, results in by_value.items()
    }
    headings = []
    for heading in dict.fromkeys(itertools.chain(*itertools.chain(*described.values()))):
        of_points = [{cells.get(heading, "-") for cells in point} for point in described.values()]
        swept = all(len(values) == 1 for values in of_points) and len(set.union(*of_points)) > 1
        if not swept and heading not in (name, "inputs"):
            headings.append(heading)
    settings: dict[tuple[str, ...], dict[str, list[Result]]] = {}
    for value, results in by_value.items():
        for result, cells in zip(results, described[value], strict=True):
            key = tuple(cells.get(heading, "-") for heading in headings)
            settings.setdefault(key, {}).setdefault(value, []).append(result)
    for key, points in settings.items():
        shared = {"run": root.name, **dict(zip(headings, key, strict=True))}
        for title, is_average, scores in _scores(points):
            yield SweepLine({"task": title, **shared}, is_average, scores)


def _scores(
    by_value: Mapping[str, Sequence[Result]],
) -> Iterator[tuple[str, bool, dict[str, Spread]]]:
    """Yields title, whether it is an average, and score by value, for averages, then tasks."""
    results = list(itertools.chain(*by_value.values()))
    for prefixed in dict.fromkeys(result.setting.prefixed for result in results):
        suffix, remark = ("", "") if prefixed else (UNPREFIXED, ", unprefixed")
        alike = {
            value: [result for result in group if result.setting.prefixed == prefixed]
            for value, group in by_value.items()
        }
        for benchmark in (GLUE, SUPER_GLUE):
            means = {
                value: average(group, tuple(benchmark.tasks)) for value, group in alike.items()
            }
            means = {value: mean for value, mean in means.items() if mean}
            if means:
                yield f"{benchmark.title} average{remark}", True, means
        for task in dict.fromkeys(result.task for result in itertools.chain(*alike.values())):
            scores = {value: task_score(group, task) for value, group in alike.items()}
            yield task + suffix, False, {value: score for value, score in scores.items() if score}
