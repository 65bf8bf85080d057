"""`prompt-tuning spot`: source prompt tuning, then target prompt tuning from it and without it."""

import functools
from collections.abc import Mapping, Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import results, spot_report
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.analysis.statistics import target_rows
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.session import Session
from prompt_tuning.storage import write_text
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup
from prompt_tuning.transfer.spot import SpotPlan, run

gin.external_configurable(SpotPlan)


@gin.configurable
def spot(
    *,
    model_dir: str,
    plan: SpotPlan,
    tuning: TuneConfig,
    setup: Setup,
    dry_run: bool,
    tfds_data_dir: str | None,
    operative_config: str,
) -> None:
    """Runs SPoT's generic approach with vanilla prompt tuning beside it, and reports both.

    What an earlier run in the same directory finished is reused.

    Args:
        model_dir: Where the run's files are.
        plan: Sources, targets, seeds and schedules.
        tuning: Settings of the train step and the loop.
        setup: Frozen model and data.
        dry_run: Whether to print what the run needs, and stop.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, for the run's directory.
    """
    console = Console()
    session = Session(
        setup=setup,
        tuning=tuning,
        task_names=plan.tasks,
        save_steps=plan.save_steps,
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    if dry_run:
        anywhere = dict.fromkeys(plan.targets, plan.sources[0])
        session.dry_run(plan.first_rows + plan.transfer_rows(anywhere))
        return
    directory = RunDirectory(model_dir)
    this_run = session.open(directory, operative_config, len(plan.first_rows))
    outcomes = run(plan, functools.partial(session.tune, run=this_run), directory)
    report(outcomes, directory, this_run.labels, console)


def report(
    outcomes: Sequence[Outcome],
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
    console.print(
        f"\nLearning curves: {directory.report / 'curves.png'}\n"
        f"Tables: {directory.report}; scores: {directory.results}; prompts: {directory.prompts}",
        highlight=False,
        soft_wrap=True,
    )
