"""`prompt-tuning train`: tunes the prompts of one or many tasks or, as a baseline, the model."""

from collections.abc import Sequence

import gin
from rich.console import Console

from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.cli.run import RunSettings, run_plan
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
        run: Where, and with which model and settings.
        tasks: Task or mixture, or several; None for the task of the user's own file.
        seeds: Seed, or several.
        start: How prompts begin; `@Pretrained()` where the model is tuned.
        schedule: How long and how fast they train.
        source: What to train on first, so that all tasks start from the best prompt or model of it.
        save_steps: Steps after which each prompt is also kept as `step_<n>.safetensors`, and each
            model as `<row>.step_<n>`.
        flags: What the command line sets.
    """
    plan = TrainPlan(
        targets=run.setup.named_tasks(tasks),
        seeds=[seeds] if isinstance(seeds, int) else list(seeds),
        start=start,
        schedule=schedule,
        source=source,
        save_steps=(save_steps,) if isinstance(save_steps, int) else tuple(save_steps),
        tunes_model=run.tuning.parameterization.tunes_model,
    )
    console = Console()
    done = run_plan(plan, run, flags, console)
    if done is None:
        return
    # Not needed for a dry run, nor while rows train.
    from prompt_tuning.analysis import results
    from prompt_tuning.analysis.report.by_task import summary_table

    outcomes, opened = done
    scored = [outcome.result() for outcome in outcomes]
    results.write_records(opened.directory.results, scored)
    console.print(summary_table(scored, "Scores at the checkpoints best on validation"))
    kept = "Models" if plan.tunes_model else "Prompts"
    console.print(f"{kept}, metrics and results are in {opened.directory.path}", highlight=False)
