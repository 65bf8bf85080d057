"""The formats of prompts: detecting, reading and writing them."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import PREFIX, Prompt
from prompt_tuning.prompts.formats.peft import is_peft, read_peft, write_peft
from prompt_tuning.prompts.formats.reference_code import (
    is_reference_code,
    read_reference_code,
    write_reference_code,
)
from prompt_tuning.prompts.formats.torch_zip import is_torch_zip, read_torch_zip
from prompt_tuning.types import UserError, nearest

IMPORTED_FROM = "imported_from"
"""Metadata of an imported prompt: the format and the path it was read from."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of prompts.

    Attributes:
        summary: A few words for messages and help.
        matches: Returns whether a path is, or should be, in this format.
        read: Reads a path in this format.
        write: Writes a prompt to a path; None if the format is read only.
    """

    summary: str
    matches: Callable[[Path], bool]
    read: Callable[[Path], Prompt]
    write: Callable[[Path, Prompt], None] | None


def read_prompt(path: str | os.PathLike) -> Prompt:
    """Reads a prompt in any format.

    Returns:
        The prompt. Unless it is in this project's own format, its metadata is a `name`, its shape,
        `imported_from`, and whatever else the format records.

    Raises:
        UserError: The path is damaged or in no known format.
    """
    path = Path(path)
    name = format_of(path)
    if name is None and path.is_dir():
        known = ", ".join(f"{name} ({known.summary})" for name, known in FORMATS.items())
        raise UserError(f"prompt {path}: this directory is in none of the formats {known}")
    # Anything else may be a missing or damaged prompt file, which `files.load` reports.
    prompt = FORMATS[name or "safetensors"].read(path)
    if name in (None, "safetensors"):
        return prompt
    length, width = prompt.array.shape
    metadata = {
        **prompt.metadata,
        "prompt_length": str(length),
        "hidden_size": str(width),
        IMPORTED_FROM: f"{name} {path}",
    }
    return Prompt(prompt.array, metadata)


def write_prompt(path: str | os.PathLike, prompt: Prompt, format_name: str) -> None:
    """Writes a prompt in the named format, whole or not at all.

    Raises:
        UserError: The format does not exist or is read only, the path exists, or the format cannot
            represent the prompt, for example its placement.
    """
    path = Path(path)
    if format_name not in WRITERS:
        raise UserError(
            f"cannot write a prompt in the format '{format_name}'"
            f"{nearest(format_name, WRITERS)}; use {', '.join(WRITERS)}"
        )
    if os.path.lexists(path):
        raise UserError(f"prompt {path}: the path exists already; choose another name")
    placement = prompt.metadata.get("placement", PREFIX)
    if format_name != "safetensors" and placement != PREFIX:
        raise UserError(
            f"prompt {prompt.name} has the placement {placement}, but prompts in the format "
            f"{format_name} always have the placement {PREFIX}; use the format safetensors"
        )
    WRITERS[format_name](path, prompt)


def format_of(path: Path) -> str | None:
    """Returns the name of the format that a path is in, or None.

    Raises:
        UserError: The path cannot be read.
    """
    try:
        return next((name for name, known in FORMATS.items() if known.matches(path)), None)
    except OSError as error:
        raise UserError(f"prompt {path}: cannot read it ({error.strerror})") from error


def find_prompts(path: Path) -> tuple[list[Path], list[Path]]:
    """Returns the paths of the prompts at a path, and of the other files there, sorted by name.

    A directory in no known format is searched recursively, except for names that begin with a dot
    and links to directories.

    Raises:
        UserError: The path cannot be read.
    """
    if format_of(path) or not path.is_dir():
        return [path], []
    prompts, others = [], []
    try:
        for child in sorted(path.iterdir()):
            if child.name.startswith(".") or (child.is_symlink() and child.is_dir()):
                continue
            if format_of(child):
                prompts.append(child)
            elif child.is_dir():
                inner_prompts, inner_others = find_prompts(child)
                prompts += inner_prompts
                others += inner_others
            else:
                others.append(child)
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
    """Returns a function that writes a file whose name must end in `suffix`."""

    def save(path: Path, prompt: Prompt) -> None:
        if path.suffix != suffix:
            raise UserError(f"prompt file {path}: a name in this format ends in {suffix}")
        files.save(path, prompt)

    return save


FORMATS: Mapping[str, Format] = {
    "peft": Format("PEFT's prompt tuning adapter, a directory", is_peft, read_peft, write_peft),
    "reference_code": Format(
        "a run's directory of Lester et al.'s code",
        is_reference_code,
        read_reference_code,
        write_reference_code,
    ),
    "torch_zip": Format(
        "a file of torch.save, as Su et al.'s prompts", is_torch_zip, read_torch_zip, None
    ),
    "npy": Format("NumPy's [P, H], without metadata", _is_npy, _read_npy, _save_as(".npy")),
    "safetensors": Format(
        "this project's prompt file",
        lambda path: path.is_file() and path.suffix == ".safetensors",
        files.load,
        _save_as(".safetensors"),
    ),
}
"""The formats by name. A path is in the first format that matches it."""

WRITERS = {name: known.write for name, known in FORMATS.items() if known.write is not None}
"""The functions that write prompts, by format."""
