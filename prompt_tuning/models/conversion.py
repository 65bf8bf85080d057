"""A backbone written in another form."""

import os
from collections.abc import Callable
from pathlib import Path

from prompt_tuning.models.formats.hugging_face import write_hugging_face
from prompt_tuning.models.formats.native import write_native
from prompt_tuning.models.weights import Backbone
from prompt_tuning.storage import write_directory
from prompt_tuning.types import UserError, nearest

FORMS = ("prompt_tuning", "t5x", "hugging_face")
"""Forms that a backbone can be written in."""


def check_conversion(directory: str | os.PathLike, form: str, step: int) -> None:
    """Checks where and how a backbone is to be written.

    Raises:
        UserError: There is no such form, the step is negative, or something is there already.
    """
    if form not in FORMS:
        raise UserError(
            f"no form is called {form!r}{nearest(form, FORMS)}; "
            f"set CONVERT_FORMAT to one of {', '.join(FORMS)}"
        )
    if step < 0:
        raise UserError(f"convert.step is {step}; it must be 0 or more")
    if Path(directory).exists():
        raise UserError(f"{directory} exists; set CONVERT_TO to a directory that does not")


def convert_backbone(
    backbone: Backbone,
    directory: str | os.PathLike,
    *,
    form: str,
    step: int,
    progress: Callable[[str], None],
) -> None:
    """Writes a backbone, bit for bit and in its stored dtypes, holding one parameter at a time.

    The directory is whole or not written at all.

    Args:
        backbone: What to write.
        directory: Where to.
        form: One of `FORMS`.
        step: The step that a T5X checkpoint says it is of.
        progress: Called with the name of each parameter that is written.

    Raises:
        UserError: As `check_conversion`, or a parameter is damaged.
    """
    check_conversion(directory, form, step)
    stored = backbone.parameters
    with write_directory(Path(directory)) as folder:
        if form == "t5x":
            from prompt_tuning.models.formats.t5x import write_t5x

            write_t5x(folder, stored, step, progress)
        else:
            write = write_native if form == "prompt_tuning" else write_hugging_face
            write(
                folder,
                config=backbone.config,
                parameters=stored,
                vocabulary_file=backbone.vocabulary_file,
                extra_ids=backbone.extra_ids,
                progress=progress,
            )
