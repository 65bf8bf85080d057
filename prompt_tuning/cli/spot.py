"""`prompt-tuning spot`: source prompt tuning, then target prompt tuning from it and without it."""

from collections.abc import Mapping, Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import results, spot_report
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.analysis.statistics import target_records
from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, run_plan
from prompt_tuning.storage import write_text
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.spot import SpotPlan

gin.external_configurable(SpotPlan)


@gin.configurable
def spot(*, run: RunSettings, plan: SpotPlan, flags: RunFlags) -> None:
    """Runs SPoT's generic approach with vanilla prompt tuning beside it, and reports both.

    Args:
        run: Where, and with which model and settings.
        plan: Sources, targets, seeds and schedules.
        flags: What the command line sets.
    """
    console = Console()
    done = run_plan(plan, run, flags, console)
    if done is not None:
        outcomes, opened = done
        report(outcomes, opened.directory, opened.labels, console)


def report(
    outcomes: Sequence[RowResult],
    directory: RunDirectory,
    labels: Mapping[str, Sequence[str]],
    console: Console,
) -> None:
    """Writes `results.json` and `report/`, and prints the table.

    Args:
        outcomes: All rows of the run.
        directory: Where the run's files are.
        labels: The label words of each task.
        console: Where to print.
    """
    records = [outcome.result() for outcome in outcomes]
    results.write_records(directory.results, records)
    on_targets = target_records(records)
    sources = [record for record in records if record not in on_targets]
    shares = {
        record["target"]: bool(set(labels[record["target"]]) & set(labels[record["source"]]))
        for record in records
        if record["source"] is not None
    }
    tables = spot_report.spot_tables(records, shares)
    directory.report.mkdir(parents=True, exist_ok=True)
    write_text(directory.report / "spot.md", tables.markdown())
    write_text(directory.report / "spot.csv", tables.comma_separated())
    spot_report.draw_learning_curves(records, directory.report / "curves.png")
    if sources:
        console.print(summary_table(sources, "Source prompt tuning"))
    console.print(tables.rendered())
    console.print(
        f"\nLearning curves: {directory.report / 'curves.png'}\n"
        f"Tables: {directory.report}; scores: {directory.results}; prompts: {directory.prompts}",
        highlight=False,
        soft_wrap=True,
    )
