"""Prompt tuning adapters of PEFT: a directory with `adapter_config.json` and safetensors.

PEFT stores the prompt as `prompt_embeddings`, `[s P, H]`, where s is `num_transformer_submodules`.
For sequence-to-sequence models it writes s = 2 and reads only the first P rows.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import PREFIX, Prompt
from prompt_tuning.prompts.formats.hub_names import backbone_of, hub_name
from prompt_tuning.storage import write_directory
from prompt_tuning.types import UserError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLED = "adapter_model.bin"
TENSOR = "prompt_embeddings"
BASE_MODEL = "base_model"
"""Metadata of a prompt: the name or directory from which PEFT loads the prompt's model."""

_KIND, _TASK = "PROMPT_TUNING", "SEQ_2_SEQ_LM"


def is_peft(path: Path) -> bool:
    """Returns whether a path is an adapter's directory or a file in one."""
    if path.is_dir():
        return any((path / name).is_file() for name in (CONFIG, WEIGHTS, PICKLED))
    return path.name in (CONFIG, WEIGHTS, PICKLED) and path.is_file()


def read_peft(path: Path) -> Prompt:
    """Reads the prompt `[P, H]` of an adapter, its name, and the backbone that its config names.

    The placement is always the prefix: PEFT has no other.

    Args:
        path: The directory, or a file in it.

    Raises:
        UserError: The adapter is not one of prompt tuning for a sequence-to-sequence model, its
            tensor does not match its config, its weights are pickled, or a file is missing or
            damaged.
    """
    folder = path if path.is_dir() else path.parent
    config = _read_config(folder / CONFIG)
    for key, wanted in (("peft_type", _KIND), ("task_type", _TASK)):
        if config.get(key) != wanted:
            raise UserError(
                f"PEFT adapter {folder}: its {key} is {config.get(key)!r}; only {wanted} is a soft "
                "prompt of a T5"
            )
    array = _encoder_rows(_read_tensor(folder), config, folder)
    metadata = {"name": folder.absolute().name, "placement": PREFIX}
    base_model = config.get("base_model_name_or_path")
    if isinstance(base_model, str) and base_model:
        metadata |= {"backbone": backbone_of(base_model), BASE_MODEL: base_model}
    return Prompt(files.checked(array, folder / WEIGHTS), metadata)


def write_peft(path: Path, prompt: Prompt) -> None:
    """Writes an adapter's directory with s = 1, whole or not at all.

    The base model is `BASE_MODEL` of the prompt's metadata, or its backbone's name on the Hugging
    Face hub. The config leaves out layers and heads, which PEFT takes from the model.

    Raises:
        UserError: The base model is unknown, the prompt is not a finite `[P, H]` array, or the
            directory cannot be written.
    """
    array = files.checked(prompt.array, path)
    base_model = prompt.metadata.get(BASE_MODEL) or hub_name(prompt.metadata.get("backbone", ""))
    if base_model is None:
        raise UserError(
            f"PEFT adapter {path}: it needs a base model, and the hub's name of the backbone "
            f"{prompt.metadata.get('backbone', 'unknown')} is not known; give --base_model=NAME, "
            "the model's name on the hub or its directory"
        )
    length, width = array.shape
    config = {
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "num_attention_heads": None,
        "num_layers": None,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": length,
        "peft_type": _KIND,
        "prompt_tuning_init": "RANDOM",
        "task_type": _TASK,
        "token_dim": width,
    }
    try:
        with write_directory(path) as folder:
            text = json.dumps(config, indent=2, sort_keys=True) + "\n"
            (folder / CONFIG).write_text(text, encoding="utf-8")
            tensors = {TENSOR: np.ascontiguousarray(array)}
            safetensors.numpy.save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    except OSError as error:
        raise UserError(f"PEFT adapter {path}: cannot write it ({error.strerror})") from error


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("not a JSON object")
    except OSError as error:
        raise UserError(
            f"PEFT adapter {path.parent}: cannot read its {CONFIG} ({error.strerror}); give the "
            "directory that save_pretrained wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"PEFT adapter {path.parent}: its {CONFIG} is damaged") from error
    return config


def _encoder_rows(array: np.ndarray, config: Mapping[str, Any], folder: Path) -> np.ndarray:
    """Returns the rows `[P, H]` of a tensor `[s P, H]` that PEFT feeds to the encoder."""
    keys = ("num_virtual_tokens", "num_transformer_submodules", "token_dim")
    stated: list[Any] = [config.get(key) for key in keys]
    length, copies, width = stated
    copies = 2 if copies is None else copies
    sizes = type(length) is int and copies in (1, 2) and array.ndim == 2
    if not sizes or array.shape != (length * copies, width or array.shape[1]):
        raise UserError(
            f"PEFT adapter {folder}: its config says {length} virtual tokens x {copies} submodules "
            f"of width {width}, but {TENSOR} has shape {list(array.shape)}; save the adapter again"
        )
    return array[:length]


def _read_tensor(folder: Path) -> np.ndarray:
    path = folder / WEIGHTS
    if not path.exists() and (folder / PICKLED).exists():
        raise UserError(
            f"PEFT adapter {folder}: {PICKLED} would have to be unpickled, which can run any code "
            "in it; if you trust it, save the adapter again with safe_serialization=True"
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            if names != [TENSOR]:
                found = ", ".join(repr(name[:60]) for name in names[:4]) or "none"
                raise UserError(
                    f"PEFT adapter {folder}: its {WEIGHTS} must have the tensor {TENSOR} alone, "
                    f"but has {found}{' and more' * (len(names) > 4)}"
                )
            array = file.get_tensor(TENSOR)
    except OSError as error:
        raise UserError(
            f"PEFT adapter {folder}: cannot read its {WEIGHTS} ({error.strerror or 'it is missing'}"
            "); give the directory that save_pretrained wrote"
        ) from error
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"PEFT adapter {folder}: its {WEIGHTS} is damaged") from error
    return array.astype(np.float32) if array.dtype == ml_dtypes.bfloat16 else array
