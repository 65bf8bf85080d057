"""`prompt-tuning spot`: source prompt tuning, then target prompt tuning with and without it."""

import functools
from collections.abc import Mapping, Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import spot_report
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.analysis.results import write_records
from prompt_tuning.analysis.statistics import target_records
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
        results = plan.run(functools.partial(tune, run=opened), opened.directory)
        _write_report(results, opened.directory, opened.labels, console)


def _write_report(
    results: Sequence[RowResult],
    directory: RunDirectory,
    labels: Mapping[str, Sequence[str]],
    console: Console,
) -> None:
    """Writes `results.json` and `report/`, and prints the table; `labels` are each task's."""
    records = [result.record() for result in results]
    write_records(directory.results, records)
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
    console.out(
        f"\nLearning curves: {directory.report / 'curves.png'}\n"
        f"Tables: {directory.report}; scores: {directory.results}; prompts: {directory.prompts}"
    )
