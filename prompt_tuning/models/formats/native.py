"""This project's own format of a backbone, a directory.

config.json           `model`: the fields of `T5Config` (`dtype` is optional);
                      `vocabulary`: at least `extra_ids`
weights.safetensors   parameters by T5X name, `encoder/layers_0/attention/query/kernel`
sentencepiece.model   the vocabulary
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prompt_tuning.models.family import ModelConfig
from prompt_tuning.models.formats.stored_model import StoredModel
from prompt_tuning.models.formats.tensors import open_tensors, write_tensors
from prompt_tuning.models.parameters import Parameter
from prompt_tuning.models.t5.config import ACTIVATIONS, DTYPES, T5Config
from prompt_tuning.types import UserError, nearest

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"
VOCABULARY = "sentencepiece.model"


def is_native(directory: Path) -> bool:
    """Returns whether a directory is, or should be, in this format."""
    return (directory / WEIGHTS).exists() or (directory / VOCABULARY).exists()


def open_native(directory: Path) -> StoredModel:
    """Opens a directory in this project's own format.

    Raises:
        UserError: Its config is missing, damaged or not a T5's, or its weights are damaged.
    """
    config, extra_ids = _read_config(directory / CONFIG)
    return StoredModel(
        place=str(directory / WEIGHTS),
        parameters=open_tensors(directory / WEIGHTS),
        config=config,
        vocabulary_file=directory / VOCABULARY,
        extra_ids=extra_ids,
    )


def write_native(
    directory: Path,
    *,
    config: ModelConfig,
    parameters: Mapping[str, Parameter],
    vocabulary_file: Path,
    extra_ids: int,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Writes a directory in this project's own format, holding one parameter at a time.

    Raises:
        UserError: A parameter cannot be read.
    """
    values = {"model": dataclasses.asdict(config), "vocabulary": {"extra_ids": extra_ids}}
    (directory / CONFIG).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    shutil.copyfile(vocabulary_file, directory / VOCABULARY)
    write_tensors(directory / WEIGHTS, parameters, {}, progress)


def _read_config(path: Path) -> tuple[T5Config, int]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"backbone config {path}: cannot read it ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"backbone config {path}: not valid JSON ({error})") from error
    sections = ("model", "vocabulary")
    if not isinstance(values, dict) or not all(isinstance(values.get(s), dict) for s in sections):
        raise UserError(f"backbone config {path}: needs the objects model and vocabulary; add them")
    values = values["vocabulary"] | values["model"]
    fields = {field.name: field.type for field in dataclasses.fields(T5Config)}
    needed = [*(name for name in fields if name != "dtype"), "extra_ids"]
    missing = [name for name in needed if name not in values]
    if missing:
        hint = nearest(missing[0], set(values) - set(needed))
        raise UserError(f"backbone config {path}: {', '.join(missing)} missing{hint}; add it")
    for name in [*needed, *(["dtype"] if "dtype" in values else [])]:
        if not _valid(name, values[name]):
            raise UserError(f"backbone config {path}: {name} cannot be {values[name]!r}")
    chosen = {name: values[name] for name in fields if name in values}
    chosen["activations"] = tuple(chosen["activations"])
    return T5Config(**chosen), values["extra_ids"]


def _valid(name: str, value: Any) -> bool:
    if name == "name":
        return isinstance(value, str) and bool(value)
    if name == "tied_embeddings":
        return isinstance(value, bool)
    if name == "dtype":
        return value in DTYPES
    if name == "activations":
        return isinstance(value, list) and bool(value) and all(v in ACTIVATIONS for v in value)
    return type(value) is int and value >= (0 if name == "extra_ids" else 1)
