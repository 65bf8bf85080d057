"""Files of `torch.save`, such as the prompts of Su et al. 2022; read without torch.

Such a file is a zip: a pickle says which tensors there are, and each one's numbers are a member of
their own, not compressed. The pickle is walked as data (`torch_pickle`), never run.
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
from prompt_tuning.prompts.formats import torch_pickle
from prompt_tuning.prompts.formats.torch_pickle import Tensor
from prompt_tuning.types import UserError

FILE = "task_prompt"
"""The name of every prompt file of Su et al., in a directory named for its task and model."""

MAGIC = b"PK"
_PICKLE = "/data.pkl"
_NAMED = re.compile(r"(?P<task>.+)Prompt[A-Z]\w*")  # IMDBPromptT5Small
_LONGEST_PICKLE = 1 << 24  # bytes; that of a T5 XXL with all its parameters has 100,000
_ORDERS = {b"little": "<", b"big": ">"}
_SHOWN = 4  # names of tensors that a message lists


def holds(path: Path) -> bool:
    """Returns whether a path is a zip that torch wrote, or is damaged, or a directory with one."""
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


def read(path: Path) -> Prompt:
    """Reads the prompt `[P, H]` of a file: its one tensor, or the one in its dictionary.

    A file `task_prompt` is named, and its task is found, by its directory.

    Dictionaries in dictionaries are looked through level by level, so that of a checkpoint with an
    optimizer's state it is the model's tensor.

    Args:
        path: The file, or a directory with a file `task_prompt`.

    Raises:
        UserError: The file cannot be read, its pickle does more than to describe tensors, there is
            not one tensor that can be meant, or its numbers are not there.
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
        raise UserError(f"torch file {file}: its pickle is too long for one of tensors alone")
    try:
        tensor = _choose(torch_pickle.walk(archive.read(root + _PICKLE)))
        order = "<"
        if f"{root}/byteorder" in members:
            order = _ORDERS[archive.read(f"{root}/byteorder")]
        numbers = members.get(f"{root}/data/{tensor.storage}")
        if numbers is None or numbers.file_size != tensor.count * tensor.dtype.itemsize:
            raise ValueError("the numbers of its tensor are not there")
        return _laid_out(archive.read(numbers), tensor, order)
    except ValueError as error:
        raise UserError(
            f"torch file {file}: not read, for its pickle, which is never run, is not one of a "
            f"prompt alone: {error}; where you trust the file, save the prompt's tensor by itself"
        ) from error


def _choose(described: Any) -> Tensor:
    """Returns the one tensor of two axes that is nearest to the top."""
    level, seen = [("", described)], set()
    while level:
        found = [(name, each) for name, each in level if _is_matrix(each)]
        if len(found) == 1:
            return found[0][1]
        if found:
            names = ", ".join(repr(name[:60]) for name, _ in found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise ValueError(f"it has several tensors [P, H] ({names}{more})")
        # Each once: a pickle can hold a list that is in itself.
        new = {id(each): (name, each) for name, each in level if id(each) not in seen}
        seen |= new.keys()
        level = [pair for name, each in new.values() for pair in _inside(name, each)]
    raise ValueError("it has no tensor [P, H]")


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor) and len(value.shape) == 2 and value.dtype.kind != "i"


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    pairs = enumerate(value) if isinstance(value, list | tuple) else ()
    for key, each in value.items() if isinstance(value, dict) else pairs:
        yield (f"{name}.{key}" if name else str(key)), each


def _laid_out(stored: bytes, tensor: Tensor, order: str) -> np.ndarray:
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
