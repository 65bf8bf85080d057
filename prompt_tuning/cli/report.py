"""`prompt-tuning report`: rebuilds tables and charts from run directories."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import gin
from rich.console import Console

from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.report.by_task import task_table
from prompt_tuning.analysis.report.glue import (
    GLUE,
    SUPER_GLUE,
    benchmark_table,
    size_chart,
    size_table,
    source_table,
)
from prompt_tuning.analysis.report.result_files import read_results
from prompt_tuning.analysis.report.result_groups import Result, without_sweeps
from prompt_tuning.analysis.report.sweeps import find_sweeps
from prompt_tuning.analysis.table import Table
from prompt_tuning.storage import write_text
from prompt_tuning.types import UserError, nearest

SWEEPS = "sweeps"


@gin.configurable
def report(
    *, run_dirs: str | Sequence[str], tables: str | Sequence[str] | None, output: str | None
) -> None:
    """Prints the tables of finished runs and writes them as text, Markdown, CSV and LaTeX.

    Args:
        run_dirs: Directory, or several, with runs at any depth.
        tables: Names of tables, from `TABLES`; None makes all that the runs have rows for.
        output: Directory for the files; None for `report/` in the first of `run_dirs`.
    """
    directories = [run_dirs] if isinstance(run_dirs, str) else list(run_dirs)
    if not directories:
        raise UserError("no run directories are given; set REPORT_DIRS")
    names = [tables] if isinstance(tables, str) else tables
    for name in names or ():
        if name not in TABLES:
            known = f"{nearest(name, TABLES)}; the tables are {', '.join(TABLES)}"
            raise UserError(f"REPORT_TABLES: no table is called {name!r}{known}")
    results = read_results(directories)
    plain = without_sweeps(results)
    pages = {
        name: list(TABLES[name](results if name == SWEEPS else plain)) for name in names or TABLES
    }
    empty = [name for name, of_table in pages.items() if not of_table]
    if names and empty:
        raise UserError(f"REPORT_TABLES: the runs have no rows for {', '.join(empty)}")
    folder = Path(output or f"{directories[0]}/report").expanduser()
    console = Console(highlight=False)
    for page in (page for of_table in pages.values() for page in of_table):
        console.out(rendering.text(page.table, console.width))
        page.write(folder)
    files = len({result.file for result in results})
    console.out(f"{len(results)} rows of {files} results files; tables and charts are in {folder}")


@dataclasses.dataclass(frozen=True)
class Page:
    """A table of the report, the name of its files, and what draws its chart, if it has one."""

    name: str
    table: Table
    draw: Callable[[Path], None] | None = None

    def write(self, folder: Path) -> None:
        """Writes the table in every format, and its chart."""
        write_text(folder / f"{self.name}.txt", rendering.text(self.table, 100))
        write_text(folder / f"{self.name}.md", rendering.markdown(self.table))
        write_text(folder / f"{self.name}.csv", rendering.comma_separated(self.table))
        write_text(folder / f"{self.name}.tex", rendering.latex(self.table))
        if self.draw:
            self.draw(folder / f"{self.name}.png")


def _tasks(results: Sequence[Result]) -> Iterator[Page]:
    if results:
        yield Page("tasks", task_table(results, "Scores by task", ("method", "init", "split")))


def _glue(results: Sequence[Result]) -> Iterator[Page]:
    if table := benchmark_table(results, GLUE):
        yield Page("glue", table)


def _super_glue(results: Sequence[Result]) -> Iterator[Page]:
    if table := benchmark_table(results, SUPER_GLUE):
        yield Page("super_glue", table)


def _sources(results: Sequence[Result]) -> Iterator[Page]:
    if table := source_table(results):
        yield Page("sources", table)


def _sizes(results: Sequence[Result]) -> Iterator[Page]:
    if table := size_table(results):
        yield Page("sizes", table, functools.partial(size_chart, results))


def _sweeps(results: Sequence[Result]) -> Iterator[Page]:
    for sweep in find_sweeps(results):
        yield Page(f"sweep_{sweep.name}", sweep.table(), sweep.chart)


TABLES: Mapping[str, Callable[[Sequence[Result]], Iterator[Page]]] = {
    "tasks": _tasks,
    "glue": _glue,
    "super_glue": _super_glue,
    "sources": _sources,
    "sizes": _sizes,
    SWEEPS: _sweeps,
}
"""The tables of the report; `sources` and `sizes` are SPoT's Table 1 and Table 4."""
