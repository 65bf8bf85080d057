"""Opens the run of a plan, for the commands that train."""

import dataclasses

import gin
import jax
from rich.console import Console

from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.cli.flags import RunFlags
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.needs import describe_needs, describe_shapes, format_shapes
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.plan import Plan
from prompt_tuning.training.rows import check_rows
from prompt_tuning.training.run import Run
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Settings of every run that trains; gin calls it `Run`.

    Attributes:
        model_dir: Directory of the run's files.
        setup: Pretrained model and data.
        tuning: What to tune, prompts or the model, and the settings of the step and the loop.
    """

    model_dir: str
    setup: Setup
    tuning: TuneConfig


gin.external_configurable(RunSettings, name="Run")


def open_run(
    plan: Plan,
    settings: RunSettings,
    flags: RunFlags,
    console: Console,
    model: OpenModel | None = None,
) -> Run | None:
    """Opens the model and the data that a plan trains on.

    A dry run prints what training needs; it tokenizes nothing but TASK_FILE, and compiles and
    writes nothing.

    Args:
        plan: What to train.
        settings: Directory, model, data and tuning settings.
        flags: Settings from the command line.
        console: Where to print.
        model: The pretrained model, if it is already open.

    Returns:
        The run; None for a dry run.

    Raises:
        UserError: A setting or an input of the run is wrong, or its directory cannot be written.
    """
    for line in plan.describe():
        console.out(line)
    check_rows(plan.outline, save_steps=plan.save_steps)
    if flags.dry_run:
        _print_needs(plan, settings, console)
        return None
    setup, directory = settings.setup, RunDirectory(settings.model_dir)
    tunes_model = settings.tuning.parameterization.tunes_model
    partitioning.use_cpu_cores(1 if tunes_model else plan.most_rows)
    model = model or setup.open_model()
    setup.cache_compiled_programs()
    tasks = setup.open_tasks(
        plan.tasks, model.vocabulary, tfds_data_dir=flags.tfds_data_dir, console=console
    )
    for task in tasks.values():
        for part in task.tasks:
            part.check_trainable()
    shapes = setup.choose_shapes(tasks)
    console.out(
        f"{model.name} on {jax.device_count()} {jax.default_backend()} device(s), "
        f"{len(tasks)} task(s), padded to {format_shapes(shapes)} input + target tokens"
    )
    return Run(
        config=settings.tuning,
        model=model,
        tasks=tasks,
        shapes=shapes,
        directory=directory,
        save_steps=plan.save_steps,
        operative_config=flags.operative_config,
        console=console,
    )


def _print_needs(plan: Plan, settings: RunSettings, console: Console) -> None:
    """Prints parameter counts, memory, padded lengths and steps."""
    setup, tuning, rows = settings.setup, settings.tuning, plan.outline
    outline = setup.outline()
    if tuning.parameterization.tunes_model:
        from prompt_tuning.training.kept_models import check_model_starts

        check_model_starts(rows, outline.param_dtype)
    tasks = setup.preview_tasks(plan.tasks, console)
    lengths = setup.feature_lengths
    shapes = [(lengths["inputs"], lengths["targets"])]
    if tasks is not None:
        shapes = setup.choose_shapes(tasks)
    table = describe_needs(rows, outline, tuning, shapes[-1])
    for name, value in describe_shapes(rows, tasks, shapes, tuning).items():
        table.add_row(name, value)
    console.print(table)
