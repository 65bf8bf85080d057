"""The table of results by task, for any method."""

from collections.abc import Sequence
from pathlib import Path

import rich.console

from prompt_tuning.analysis.report.published import published_score
from prompt_tuning.analysis.report.result_groups import Result, differing, result_of, task_score
from prompt_tuning.analysis.statistics import Record, group_by
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table, rendered
from prompt_tuning.data.datasets.dataset import UNPREFIXED


def summary_table(records: Sequence[Record], title: str) -> rich.console.Group:
    """Returns the table of a run's own records, for the console."""
    # A terminal is narrow, so everything that the lines share goes below the table.
    results = [result_of(record, (), Path()) for record in records]
    return rendered(task_table(results, title, ()))


def task_table(results: Sequence[Result], title: str, always: Sequence[str]) -> Table:
    """Returns a line for each task and setting: mean and deviation over seeds, 0-100.

    Args:
        results: The results to show.
        title: Title of the table.
        always: Headings of settings that have a column whether or not they differ.
    """
    groups = group_by(results, lambda result: (result.task, result.metric, result.setting))
    # The name of the task already tells prefixed from unprefixed inputs.
    headings, shared = differing([setting for _, _, setting in groups], (*always, "inputs"))
    headings.remove("inputs")
    lines = []
    for (task, metric, setting), group in groups.items():
        described = setting.described()
        cells: list[Cell] = [task if setting.prefixed else task + UNPREFIXED]
        cells += [described.get(name, "-") for name in headings]
        score = task_score(group, task)
        cells += [metric, Score(score, published_score(setting, task)), score.n if score else 0]
        lines.append(Line(cells))
    columns = [Column("task"), *map(Column, headings), Column("metric")]
    columns += [Column("score", numeric=True), Column("seeds", numeric=True)]
    return Table(columns, lines, title, shared)
