"""The forms that a prompt can be in: finding out which it is, reading, and writing."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import PREFIX, Prompt
from prompt_tuning.prompts.formats import peft, reference_code, torch_zip
from prompt_tuning.types import UserError, nearest

IMPORTED_FROM = "imported_from"
"""Metadata of a prompt that came in another form: that form, and where it was."""


@dataclasses.dataclass(frozen=True)
class Form:
    """One form.

    Attributes:
        summary: What it is, in a few words.
        holds: Returns whether a path is, or should be, of this form.
        read: Reads a path of this form.
        write: Writes a prompt to a path; None for a form that is only read.
    """

    summary: str
    holds: Callable[[Path], bool]
    read: Callable[[Path], Prompt]
    write: Callable[[Path, Prompt], None] | None


def read(path: str | os.PathLike) -> Prompt:
    """Reads a prompt in any form.

    Returns:
        The prompt. Unless it is in this project's own form, its metadata is a `name`, its shape,
        `imported_from`, and what else the form says of it.

    Raises:
        UserError: It is in no form that is read, or is damaged.
    """
    path = Path(path)
    form = form_of(path)
    if form is None and path.is_dir():
        raise UserError(f"prompt {path}: this directory is in none of the forms {_known()}")
    # What is in no form may be a prompt file that is missing or damaged, of which `files` tells.
    prompt = FORMATS[form or "safetensors"].read(path)
    if form in (None, "safetensors"):
        return prompt
    length, width = prompt.array.shape
    metadata = {
        **prompt.metadata,
        "prompt_length": str(length),
        "hidden_size": str(width),
        IMPORTED_FROM: f"{form} {path}",
    }
    return Prompt(prompt.array, metadata)


def write(path: str | os.PathLike, prompt: Prompt, form: str) -> None:
    """Writes a prompt in the form of that name, whole or not at all.

    Raises:
        UserError: There is no such form to write, something is at the path already, or the form
            cannot have this prompt, such as one with another placement than in front.
    """
    path = Path(path)
    if form not in WRITTEN:
        raise UserError(
            f"no form '{form}' to write a prompt in{nearest(form, WRITTEN)}; use "
            f"{', '.join(WRITTEN)}"
        )
    if os.path.lexists(path):
        raise UserError(f"prompt {path}: there is something already; choose another name")
    placement = prompt.metadata.get("placement", PREFIX)
    if form != "safetensors" and placement != PREFIX:
        raise UserError(
            f"prompt {prompt.name} has the placement {placement}, and a prompt in the form {form} "
            f"is put in front ({PREFIX}); use the form safetensors"
        )
    WRITTEN[form](path, prompt)


def form_of(path: Path) -> str | None:
    """Returns the name of the form that a path is in, or None.

    Raises:
        UserError: The path cannot be read.
    """
    try:
        return next((name for name, form in FORMATS.items() if form.holds(path)), None)
    except OSError as error:
        raise UserError(f"prompt {path}: cannot read it ({error.strerror})") from error


def find(path: Path) -> tuple[list[Path], list[Path]]:
    """Returns the prompts at a path, and what else there is, in the order of their names.

    A directory in no form is looked through, with the directories in it; names that begin with a
    dot and links to directories are left alone.

    Raises:
        UserError: The path cannot be read.
    """
    if form_of(path) or not path.is_dir():
        return [path], []
    prompts, others = [], []
    try:
        for each in sorted(path.iterdir()):
            if each.name.startswith(".") or (each.is_symlink() and each.is_dir()):
                continue
            if form_of(each):
                prompts.append(each)
            elif each.is_dir():
                inner, other = find(each)
                prompts += inner
                others += other
            else:
                others.append(each)
    except OSError as error:
        raise UserError(f"prompts {path}: cannot read it ({error.strerror})") from error
    return prompts, others


def _is_npy(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(files.NPY_MAGIC)) == files.NPY_MAGIC or path.suffix == ".npy"


def _read_npy(path: Path) -> Prompt:
    return Prompt(files.load(path).array, {"name": path.stem})


def _save_as(suffix: str) -> Callable[[Path, Prompt], None]:
    """Returns a function that writes a file whose name has to end in `suffix`."""

    def save(path: Path, prompt: Prompt) -> None:
        if path.suffix != suffix:
            raise UserError(f"prompt file {path}: a name in this form ends in {suffix}")
        files.save(path, prompt)

    return save


FORMATS: Mapping[str, Form] = {
    "peft": Form("PEFT's prompt tuning adapter, a directory", peft.holds, peft.read, peft.write),
    "reference_code": Form(
        "a run's directory of Lester et al.'s code",
        reference_code.holds,
        reference_code.read,
        reference_code.write,
    ),
    "torch_zip": Form(
        "a file of torch.save, as Su et al.'s prompts", torch_zip.holds, torch_zip.read, None
    ),
    "npy": Form("NumPy's [P, H], without metadata", _is_npy, _read_npy, _save_as(".npy")),
    "safetensors": Form(
        "this project's prompt file",
        lambda path: path.is_file() and path.suffix == ".safetensors",
        files.load,
        _save_as(".safetensors"),
    ),
}
"""The forms by name; of those that hold a path, the first is its form."""

WRITTEN = {name: form.write for name, form in FORMATS.items() if form.write is not None}
"""How each form that can be written is."""


def _known() -> str:
    return ", ".join(f"{name} ({form.summary})" for name, form in FORMATS.items())
