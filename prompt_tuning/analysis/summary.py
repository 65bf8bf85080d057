"""A table of results by task, whatever the method."""

from collections.abc import Sequence

import rich.box
import rich.table

from prompt_tuning.analysis.statistics import Row, summarize


def summary_table(rows: Sequence[Row], title: str) -> rich.table.Table:
    """Returns a table for the terminal: a line for each task and start, mean over seeds, 0-100."""
    table = rich.table.Table(
        title=title, title_justify="left", box=rich.box.SIMPLE_HEAD, show_edge=False
    )
    for name in ("task", "method", "start", "metric", "split"):
        table.add_column(name, overflow="fold")
    table.add_column("score", justify="right")
    table.add_column("seeds", justify="right")
    for line in summarize(rows):
        std = "" if line["std"] is None else f" ± {line['std']:.1f}"
        table.add_row(
            line["target"],
            line["method"],
            line["source"] or line["init"] or "-",
            line["metric"],
            line["split"] or "-",
            f"{line['mean']:.1f}{std}",
            str(line["n"]),
        )
    return table
