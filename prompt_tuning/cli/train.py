"""`prompt-tuning train`: tunes the prompts of one or many tasks or, as a baseline, the model."""

import functools
from collections.abc import Sequence

import gin
from rich.console import Console

from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, open_run
from prompt_tuning.prompts.initializers import Initializer
from prompt_tuning.training.plan import TrainPlan
from prompt_tuning.training.schedule import Schedule, SourceStage


@gin.configurable
def train(
    *,
    run: RunSettings,
    tasks: str | Sequence[str] | None,
    seeds: int | Sequence[int],
    start: Initializer,
    schedule: Schedule,
    source: SourceStage | None,
    save_steps: int | Sequence[int],
    flags: RunFlags,
) -> None:
    """Tunes a prompt, or the model, for each task and seed, and writes `results.json`.

    Args:
        run: Directory, model, data and tuning settings.
        tasks: Task or mixture, or several; None for the task of TASK_FILE.
        seeds: Seed, or several.
        start: Initializer of the prompts; `@Pretrained()` for model tuning.
        schedule: Steps, batch size and learning rate.
        source: An optional source task, trained first; the tasks start from its best checkpoint.
        save_steps: Steps after which each prompt is also kept as `step_<n>.safetensors`, and each
            model as `<row>.step_<n>`.
        flags: Settings from the command line.
    """
    plan = TrainPlan(
        targets=run.setup.task_names(tasks),
        seeds=[seeds] if isinstance(seeds, int) else list(seeds),
        start=start,
        schedule=schedule,
        source=source,
        save_steps=(save_steps,) if isinstance(save_steps, int) else tuple(save_steps),
        tunes_model=run.tuning.parameterization.tunes_model,
    )
    console = Console(highlight=False)
    opened = open_run(plan, run, flags, console)
    if opened is None:
        return
    # Imported late: a dry run needs neither the loop nor, like training itself, the analysis.
    from prompt_tuning.training.loop import tune

    results = plan.run(functools.partial(tune, run=opened), opened.directory)
    from prompt_tuning.analysis.report.by_task import summary_table
    from prompt_tuning.analysis.results import write_records

    records = [result.record() for result in results]
    write_records(opened.directory.results, records)
    console.print(summary_table(records, "Scores at the checkpoints best on validation"))
    kept = "Models" if plan.tunes_model else "Prompts"
    console.out(f"{kept}, metrics and results are in {opened.directory.path}")
