"""`prompt-tuning train`: tunes the prompts of one or many tasks."""

from collections.abc import Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis.summary import summary_table
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.session import Session
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.training.setup import Setup
from prompt_tuning.training.starts import Start


@gin.configurable
def train(
    *,
    model_dir: str,
    tasks: str | Sequence[str],
    seeds: int | Sequence[int],
    start: Start,
    schedule: Schedule,
    save_steps: int | Sequence[int],
    tuning: TuneConfig,
    setup: Setup,
    dry_run: bool,
    tfds_data_dir: str | None,
    operative_config: str,
) -> None:
    """Tunes one prompt for each task and seed on a frozen model, and writes `results.json`.

    Args:
        model_dir: Where the run's files are.
        tasks: Task or mixture, or several.
        seeds: Seed, or several.
        start: How prompts begin.
        schedule: How long and how fast they train.
        save_steps: Steps after which each prompt is also kept as `step_<n>.safetensors`.
        tuning: Settings of the train step and the loop.
        setup: Frozen model and data.
        dry_run: Whether to print what the run needs, and stop.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, for the run's directory.
    """
    names = [tasks] if isinstance(tasks, str) else list(tasks)
    init = start.describe()["init"]
    rows = [
        Row(
            name=row_name(task, init, f"seed{seed}"),
            task=task,
            start=start,
            seed=seed,
            schedule=schedule,
            method="prompt_tuning",
            source=None,
        )
        for task in names
        for seed in ([seeds] if isinstance(seeds, int) else seeds)
    ]
    console = Console()
    session = Session(
        setup=setup,
        tuning=tuning,
        task_names=names,
        save_steps=(save_steps,) if isinstance(save_steps, int) else tuple(save_steps),
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    if dry_run:
        session.dry_run(rows)
        return
    directory = RunDirectory(model_dir)
    outcomes = session.open(directory, operative_config, len(rows)).tune(rows)
    scored = [outcome.result() for outcome in outcomes]
    results.write(directory.results, scored)
    console.print(summary_table(scored, "Scores at the checkpoints best on validation"))
    console.print(f"Prompts, metrics and results are in {directory.path}", highlight=False)
