"""Converting a backbone to another format."""

import os
from collections.abc import Callable
from pathlib import Path

from prompt_tuning.models.formats.hugging_face import write_hugging_face
from prompt_tuning.models.formats.native import write_native
from prompt_tuning.models.weights import Backbone
from prompt_tuning.storage import write_directory
from prompt_tuning.types import UserError, nearest

FORMATS = ("prompt_tuning", "t5x", "hugging_face")
"""The formats that a backbone can be written in."""


def check_conversion(directory: str | os.PathLike, format_name: str, step: int) -> None:
    """Checks the arguments of a conversion.

    Raises:
        UserError: There is no such format, the step is negative, or the directory exists.
    """
    if format_name not in FORMATS:
        raise UserError(
            f"no format is called {format_name!r}{nearest(format_name, FORMATS)}; "
            f"set CONVERT_FORMAT to one of {', '.join(FORMATS)}"
        )
    if step < 0:
        raise UserError(f"convert.step is {step}; it must be 0 or more")
    if Path(directory).exists():
        raise UserError(f"{directory} exists; set CONVERT_TO to a directory that does not")


def convert_backbone(
    backbone: Backbone,
    directory: str | os.PathLike,
    *,
    format_name: str,
    step: int,
    progress: Callable[[str], None],
) -> None:
    """Writes a backbone bit for bit, in its stored dtypes, holding one parameter at a time.

    The directory is written whole or not at all.

    Args:
        backbone: The backbone.
        directory: The directory to write; it must not exist.
        format_name: One of `FORMATS`.
        step: The step that a T5X checkpoint records.
        progress: Called with the name of each parameter that is written.

    Raises:
        UserError: As `check_conversion`, or a parameter is damaged.
    """
    check_conversion(directory, format_name, step)
    with write_directory(Path(directory)) as folder:
        if format_name == "t5x":
            from prompt_tuning.models.formats.t5x import write_t5x

            write_t5x(folder, backbone.parameters, step, progress)
        else:
            write = write_native if format_name == "prompt_tuning" else write_hugging_face
            write(
                folder,
                config=backbone.config,
                parameters=backbone.parameters,
                vocabulary_file=backbone.vocabulary_file,
                extra_ids=backbone.extra_ids,
                progress=progress,
            )
