"""`prompt-tuning train`: tunes the prompts of one or many tasks or, as a baseline, the model."""

from collections.abc import Sequence

import gin
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.session import Session
from prompt_tuning.prompts.starts import FromRow, Start
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.schedule import Schedule, SourceStage
from prompt_tuning.training.setup import Setup


@gin.configurable
def train(
    *,
    model_dir: str,
    tasks: str | Sequence[str] | None,
    seeds: int | Sequence[int],
    start: Start,
    schedule: Schedule,
    source: SourceStage | None,
    save_steps: int | Sequence[int],
    tuning: TuneConfig,
    setup: Setup,
    dry_run: bool,
    tfds_data_dir: str | None,
    operative_config: str,
) -> None:
    """Tunes a prompt, or the model, for each task and seed, and writes `results.json`.

    Args:
        model_dir: Where the run's files are.
        tasks: Task or mixture, or several; None for the task of the user's own file.
        seeds: Seed, or several.
        start: How prompts begin; `@Pretrained()` where the model is tuned.
        schedule: How long and how fast they train.
        source: What to train on first, so that all tasks start from the best prompt or model of it.
        save_steps: Steps after which each prompt is also kept as `step_<n>.safetensors`, and each
            model as `<row>.step_<n>`.
        tuning: What is tuned, prompts or the model, and the settings of the step and the loop.
        setup: Pretrained model and data.
        dry_run: Whether to print what the run needs, and stop.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        operative_config: The resolved configuration, for the run's directory.
    """
    names = setup.named_tasks(tasks)
    rows = train_rows(
        names,
        [seeds] if isinstance(seeds, int) else list(seeds),
        start=start,
        schedule=schedule,
        source=source,
        tunes_model=tuning.parameterization.tunes_model,
    )
    console = Console()
    session = Session(
        setup=setup,
        tuning=tuning,
        task_names=[row.task for row in rows],
        save_steps=(save_steps,) if isinstance(save_steps, int) else tuple(save_steps),
        tfds_data_dir=tfds_data_dir,
        console=console,
    )
    if dry_run:
        session.dry_run(rows)
        return
    session.check(rows)
    directory = RunDirectory(model_dir)
    outcomes = session.tune(rows, session.open(directory, operative_config, len(rows)))
    scored = [outcome.result() for outcome in outcomes]
    results.write(directory.results, scored)
    console.print(summary_table(scored, "Scores at the checkpoints best on validation"))
    kept = "Models" if tuning.parameterization.tunes_model else "Prompts"
    console.print(f"{kept}, metrics and results are in {directory.path}", highlight=False)


def train_rows(
    tasks: Sequence[str],
    seeds: Sequence[int],
    *,
    start: Start,
    schedule: Schedule,
    source: SourceStage | None,
    tunes_model: bool,
) -> list[Row]:
    """Returns the rows of a run: one for each task and seed, after one of the source.

    Args:
        tasks: Tasks or mixtures.
        seeds: Their seeds; the source has the first.
        start: How rows begin that start from no other.
        schedule: How long and how fast the tasks train.
        source: What to train on first, or None.
        tunes_model: Whether models are tuned.
    """
    plain = "model_tuning" if tunes_model else "prompt_tuning"
    after_source = "multi_task_model_tuning" if tunes_model else "spot"
    init = start.describe()["init"]
    first = []
    if source is not None and seeds:
        name = row_name(source.task, "source", f"seed{seeds[0]}")
        first = [
            Row(
                name=name,
                task=source.task,
                start=start,
                seed=seeds[0],
                schedule=source.schedule,
                method=plain,
                source=None,
            )
        ]
        start, init = FromRow(name), "transfer"
    return first + [
        Row(
            name=row_name(task, init, f"seed{seed}"),
            task=task,
            start=start,
            seed=seed,
            schedule=schedule,
            method=after_source if first else plain,
            source=source.task if source else None,
        )
        for task in tasks
        for seed in seeds
    ]
