"""`prompt-tuning convert`: converts a backbone to another format."""

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
    """Converts the configured backbone to another format, bit for bit.

    Args:
        path: The directory to write; it must not exist.
        form: `prompt_tuning`, `t5x` or `hugging_face`.
        step: The step that a T5X checkpoint records.
        setup: The backbone; the data settings are not used.
        dry_run: Whether to write nothing.
    """
    console = Console(highlight=False)
    directory = Path(path).expanduser()
    check_conversion(directory, form, step)
    if dry_run and setup.planned_model is not None:
        outline = setup.outline()
        count = sum(leaf.size for leaf in jax.tree.leaves(outline.shapes))
        console.out(
            f"{outline.config.name}, {count:,} parameters, would be downloaded from "
            f"{setup.backbone} and written to {directory} as {form}"
        )
        return
    backbone = setup.open_backbone()
    stored = backbone.parameters
    if not dry_run:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
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
    console.out(
        f"{backbone.config.name}, {sum(sizes.values()):,} parameters of {dtypes} "
        f"({size / 1e6:,.1f} MB), {'would be' if dry_run else 'is'} in {directory} as {form}"
    )
