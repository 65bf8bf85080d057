"""Files of `torch.save`, such as the prompts of Su et al. 2022; read without torch.

Such a file is a zip without compression. One member is a pickle that describes the tensors; each
tensor's numbers are another member. The pickle is parsed as data (`torch_pickle`), never run.
"""

import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats.torch_pickle import Tensor, parse_pickle
from prompt_tuning.types import UserError

FILE = "task_prompt"
"""The name of all prompt files of Su et al.; their directories are named for task and model."""

MAGIC = b"PK"
_PICKLE = "/data.pkl"
_NAMED = re.compile(r"(?P<task>.+)Prompt[A-Z]\w*")  # IMDBPromptT5Small
_LONGEST_PICKLE = 1 << 24  # bytes; the pickle of all parameters of a T5 XXL has 100,000
_ORDERS = {b"little": "<", b"big": ">"}
_SHOWN = 4  # names of tensors that a message lists


def is_torch_zip(path: Path) -> bool:
    """Returns whether a path is a torch file or a damaged zip, or has one as `task_prompt`."""
    path = path / FILE if path.is_dir() else path
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return False
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(_PICKLE) for name in archive.namelist())
    except zipfile.BadZipFile:
        return True
    except OSError:
        return False


def read_torch_zip(path: Path) -> Prompt:
    """Reads the prompt `[P, H]` of a file: its only tensor of two axes.

    Nested dictionaries are searched level by level, so that the model's tensor is found before
    those of an optimizer's state. The name and the task of a file `task_prompt` come from the name
    of its directory.

    Args:
        path: The file, or a directory with a file `task_prompt`.

    Raises:
        UserError: The file cannot be read, its pickle does more than describe tensors, no tensor or
            more than one has two axes, or the tensor's numbers are missing.
    """
    file = path / FILE if path.is_dir() else path
    try:
        with zipfile.ZipFile(file) as archive:
            array = _read_tensor(archive, file)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"torch file {file}: cannot read it ({error.strerror or error})") from error
    # Zip files can be damaged in more ways than zipfile has exceptions for.
    except Exception as error:
        raise UserError(f"torch file {file}: damaged; give another file") from error
    name = file.absolute().parent.name if file.name == FILE else file.stem
    metadata = {"name": name}
    if file.name == FILE and (named := _NAMED.fullmatch(name)):
        metadata["task"] = named["task"]
    return Prompt(files.checked(array, file), metadata)


def _read_tensor(archive: zipfile.ZipFile, file: Path) -> np.ndarray:
    members = {info.filename: info for info in archive.infolist()}
    roots = [name.removesuffix(_PICKLE) for name in members if name.endswith(_PICKLE)]
    if len(roots) != 1 or len(members) != len(archive.infolist()):
        raise UserError(
            f"torch file {file}: a zip without a pickle of torch.save; give another file"
        )
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise UserError(f"torch file {file}: it is compressed, which torch does not do")
    [root] = roots
    if members[root + _PICKLE].file_size > _LONGEST_PICKLE:
        raise UserError(f"torch file {file}: its pickle is too long to describe only tensors")
    try:
        tensor = _choose(parse_pickle(archive.read(root + _PICKLE)))
        order = "<"
        if f"{root}/byteorder" in members:
            order = _ORDERS[archive.read(f"{root}/byteorder")]
        numbers = members.get(f"{root}/data/{tensor.storage}")
        if numbers is None or numbers.file_size != tensor.count * tensor.dtype.itemsize:
            raise ValueError("the numbers of its tensor are missing")
        return _to_array(archive.read(numbers), tensor, order)
    except ValueError as error:
        raise UserError(
            f"torch file {file}: its pickle, which is never run, does not describe a prompt alone: "
            f"{error}; if you trust the file, save the prompt's tensor by itself"
        ) from error


def _choose(described: Any) -> Tensor:
    """Returns the only tensor of two axes on the topmost level that has any."""
    level, seen = [("", described)], set()
    while level:
        found = [(name, value) for name, value in level if _is_matrix(value)]
        if len(found) == 1:
            return found[0][1]
        if found:
            names = ", ".join(repr(name[:60]) for name, _ in found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise ValueError(f"it has several tensors [P, H] ({names}{more})")
        # Each object once: a list in a pickle can contain itself.
        new = {id(value): (name, value) for name, value in level if id(value) not in seen}
        seen |= new.keys()
        level = [pair for name, value in new.values() for pair in _children(name, value)]
    raise ValueError("it has no tensor [P, H]")


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor) and len(value.shape) == 2 and value.dtype.kind != "i"


def _children(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yields the entries of a dictionary, list or tuple with their dotted names."""
    pairs = enumerate(value) if isinstance(value, list | tuple) else ()
    for key, child in value.items() if isinstance(value, dict) else pairs:
        yield (f"{name}.{key}" if name else str(key)), child


def _to_array(stored: bytes, tensor: Tensor, order: str) -> np.ndarray:
    """Returns the tensor `[P, H]` from the bytes of its storage."""
    steps = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in steps)
    if not 0 < math.prod(tensor.shape) <= tensor.count or last >= tensor.count:
        raise ValueError("its tensor reaches beyond its numbers")
    width = tensor.dtype.itemsize
    numbers = np.frombuffer(stored, f"{order}u{width}").astype(f"=u{width}").view(tensor.dtype)
    strides = [stride * width for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
    return view.astype(np.float32)
