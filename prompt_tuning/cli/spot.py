"""`prompt-tuning spot`: source prompt tuning, then target prompt tuning with and without it."""

import functools
from collections.abc import Mapping, Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import results, spot_report
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.analysis.statistics import target_rows
from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, open_run
from prompt_tuning.storage import write_text
from prompt_tuning.training.loop import tune
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.spot import SpotPlan

gin.external_configurable(SpotPlan)


@gin.configurable
def spot(*, run: RunSettings, plan: SpotPlan, flags: RunFlags) -> None:
    """Runs SPoT's generic approach and vanilla prompt tuning, and reports both.

    Args:
        run: Directory, model, data and tuning settings.
        plan: Sources, targets, seeds and schedules.
        flags: Settings from the command line.
    """
    console = Console(highlight=False)
    opened = open_run(plan, run, flags, console)
    if opened is not None:
        outcomes = plan.run(functools.partial(tune, run=opened), opened.directory)
        _write_report(outcomes, opened.directory, opened.labels, console)


def _write_report(
    outcomes: Sequence[RowResult],
    directory: RunDirectory,
    labels: Mapping[str, Sequence[str]],
    console: Console,
) -> None:
    """Writes `results.json` and `report/`, and prints the table; `labels` are each task's."""
    rows = [outcome.result() for outcome in outcomes]
    results.write(directory.results, rows)
    on_targets = target_rows(rows)
    sources = [row for row in rows if row not in on_targets]
    shares = {
        row["target"]: bool(set(labels[row["target"]]) & set(labels[row["source"]]))
        for row in rows
        if row["source"] is not None
    }
    table = spot_report.spot_table(rows, shares)
    directory.report.mkdir(parents=True, exist_ok=True)
    write_text(directory.report / "spot.md", spot_report.markdown(table))
    write_text(directory.report / "spot.csv", spot_report.comma_separated(table))
    spot_report.curves_plot(rows, directory.report / "curves.png")
    if sources:
        console.print(summary_table(sources, "Source prompt tuning"))
    console.print(spot_report.rendered(table))
    console.out(
        f"\nLearning curves: {directory.report / 'curves.png'}\n"
        f"Tables: {directory.report}; scores: {directory.results}; prompts: {directory.prompts}"
    )
