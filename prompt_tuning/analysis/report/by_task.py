"""A table of results by task, whatever the method."""

from collections.abc import Sequence
from pathlib import Path

import rich.console

from prompt_tuning.analysis.report.published import published_score
from prompt_tuning.analysis.report.result_groups import (
    Run,
    Setting,
    differing,
    from_row,
    task_score,
)
from prompt_tuning.analysis.statistics import Row
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table, rendered
from prompt_tuning.data.datasets.dataset import UNPREFIXED


def summary_table(rows: Sequence[Row], title: str) -> rich.console.Group:
    """Returns the table of a run's own rows, for the terminal."""
    # A terminal is narrow: what all lines share is said once, below.
    return rendered(task_table([from_row(row, (), Path()) for row in rows], title, ()))


def task_table(runs: Sequence[Run], title: str, always: Sequence[str]) -> Table:
    """Returns a line for each task and setting: mean and deviation over seeds, 0-100.

    Args:
        runs: What to show.
        title: What they are.
        always: Headings of settings that have a column whether or not they differ.
    """
    groups: dict[tuple[str, str, Setting], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.task, run.metric, run.setting), []).append(run)
    # Whether inputs begin with T5's prefix is told by the name of the task.
    headings, shared = differing([setting for _, _, setting in groups], (*always, "inputs"))
    headings = [name for name in headings if name != "inputs"]
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
