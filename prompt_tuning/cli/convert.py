"""`prompt-tuning convert`: writes a backbone in another form."""

from pathlib import Path

import gin
import jax
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from prompt_tuning.cli import configurables  # noqa: F401
from prompt_tuning.models.conversion import check_conversion, convert_backbone
from prompt_tuning.training.setup import Setup


@gin.configurable
def convert(*, path: str, form: str, step: int, setup: Setup, dry_run: bool) -> None:
    """Writes the backbone that a configuration names, bit for bit, in another form.

    Args:
        path: The directory to write, which must not exist.
        form: `prompt_tuning`, `t5x` or `hugging_face`.
        step: The step that a T5X checkpoint says it is of.
        setup: The backbone; its tasks are not used.
        dry_run: Whether to stop before anything is written.
    """
    console = Console()
    directory = Path(path).expanduser()
    check_conversion(directory, form, step)
    if dry_run and setup.planned_model is not None:
        outline = setup.outline()
        count = sum(each.size for each in jax.tree.leaves(outline.shapes))
        console.print(
            f"{outline.config.name}, {count:,} parameters, would be fetched from "
            f"{setup.backbone} and be in {directory} as {form}",
            highlight=False,
            soft_wrap=True,
        )
        return
    backbone = setup.open_backbone()
    stored = backbone.parameters
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    if not dry_run:
        with Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        ) as display:
            task = display.add_task("parameters", total=len(stored))
            convert_backbone(
                backbone,
                directory,
                form=form,
                step=step,
                progress=lambda name: display.advance(task),
            )
    sizes = {name: int(np.prod(parameter.shape)) for name, parameter in stored.items()}
    size = sum(sizes[name] * parameter.dtype.itemsize for name, parameter in stored.items())
    dtypes = " and ".join(sorted({str(parameter.dtype) for parameter in stored.values()}))
    console.print(
        f"{backbone.config.name}, {sum(sizes.values()):,} parameters of {dtypes} "
        f"({size / 1e6:,.1f} MB), {'would be' if dry_run else 'is'} in {directory} as {form}",
        highlight=False,
        soft_wrap=True,
    )
