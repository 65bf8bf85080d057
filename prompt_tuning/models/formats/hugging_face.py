"""Directories of Hugging Face transformers: `config.json`, safetensors, and `spiece.model`.

Unlike in T5X, matrices are transposed, layers are blocks of numbered sublayers, and the embedding
table may be stored under several names.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.models.family import ModelConfig
from prompt_tuning.models.formats.hugging_face_names import (
    OUTPUT,
    TABLE_NAMES,
    is_transposed,
    our_name,
    stored_name,
)
from prompt_tuning.models.formats.stored_model import StoredModel
from prompt_tuning.models.formats.tensors import open_tensors, write_tensors
from prompt_tuning.models.parameters import Index, Parameter, Transposed
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.shapes import EMBEDDING
from prompt_tuning.types import UserError, nearest

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
VOCABULARY = "spiece.model"
TOKENIZER = "tokenizer_config.json"

_FEED_FORWARD = {
    "relu": ("relu",),
    "gated-gelu": ("gelu", "linear"),
    "gated-relu": ("relu", "linear"),
    "gated-silu": ("silu", "linear"),
}
_SIZES = {
    "vocab_size": "vocab_size",
    "emb_dim": "d_model",
    "num_heads": "num_heads",
    "head_dim": "d_kv",
    "mlp_dim": "d_ff",
    "num_encoder_layers": "num_layers",
}
# The first T5 models were released with a table that transformers ignores.
_UNUSED = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"


@dataclasses.dataclass(frozen=True, eq=False)
class _Repeated:
    """A parameter stored under several names with equal values."""

    stored: Mapping[str, Parameter]

    @property
    def _first(self) -> Parameter:
        return next(iter(self.stored.values()))

    @property
    def place(self) -> str:
        return self._first.place

    @property
    def shape(self) -> tuple[int, ...]:
        return self._first.shape

    @property
    def dtype(self) -> np.dtype:
        return self._first.dtype

    def read_into(self, index: Index, out: np.ndarray) -> None:
        first, *others = self.stored
        array = np.empty(out.shape, self.dtype)
        self._first.read_into(index, array)
        np.copyto(out, array, casting="unsafe")
        for name in others:
            other = np.empty(out.shape, self.stored[name].dtype)
            self.stored[name].read_into(index, other)
            if not np.array_equal(array, other):
                raise UserError(
                    f"backbone weights {self.place}: {first} and {name} differ, but this model has "
                    "one embedding table; check tie_word_embeddings in its config.json"
                )

    def split(self, index: Index) -> list[Index]:
        return self._first.split(index)


def is_hugging_face(directory: Path) -> bool:
    """Returns whether a directory is, or should be, in this format."""
    if any((directory / name).exists() for name in (WEIGHTS, SHARDS)):
        return True
    return (directory / CONFIG).exists() or any(directory.glob("pytorch_model*.bin"))


def open_hugging_face(directory: Path, name: str) -> StoredModel:
    """Opens a directory of a T5, T5 1.1, mT5 or Flan-T5 without reading weights.

    Args:
        directory: The directory.
        name: The name to give the model.

    Raises:
        UserError: A file is missing or damaged, the weights are pickled, or the model is not a T5.
    """
    tensors = _open_files(directory)
    config = _read_config(directory / CONFIG, name)
    tensors.pop(_UNUSED, None)
    table_names = (*TABLE_NAMES, OUTPUT) if config.tied_embeddings else TABLE_NAMES
    tables = {key: tensors.pop(key) for key in table_names if key in tensors}
    if len({tensor.shape for tensor in tables.values()}) > 1:
        shapes = ", ".join(f"{key} {list(tensor.shape)}" for key, tensor in tables.items())
        raise UserError(
            f"backbone weights {directory}: {shapes} are the same table, so their shapes must agree"
        )
    parameters: dict[str, Parameter] = {EMBEDDING: _Repeated(tables)} if tables else {}
    for theirs, tensor in tensors.items():
        ours = our_name(theirs)
        transposed = ours is not None and is_transposed(ours)
        parameters[ours or theirs] = Transposed(tensor) if transposed else tensor
    return StoredModel(
        place=str(directory),
        parameters=parameters,
        config=config,
        vocabulary_file=directory / VOCABULARY,
        extra_ids=_extra_ids(directory / TOKENIZER),
    )


def write_hugging_face(
    directory: Path,
    *,
    config: ModelConfig,
    parameters: Mapping[str, Parameter],
    vocabulary_file: Path,
    extra_ids: int,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Writes `config.json`, `model.safetensors` and `spiece.model` into a directory.

    It also writes `tokenizer_config.json` with the number of sentinels after the vocabulary's
    pieces.

    Raises:
        UserError: The model is not a T5, transformers lacks its feed-forward layer, or a parameter
            cannot be read.
    """
    if not isinstance(config, T5Config):
        raise UserError(f"{config.name}: only a T5 can be written in Hugging Face's format")
    kinds = {activations: kind for kind, activations in _FEED_FORWARD.items()}
    if config.activations not in kinds:
        raise UserError(f"transformers has no T5 with the activations {config.activations}")
    values = {theirs: getattr(config, ours) for ours, theirs in _SIZES.items()} | {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "num_decoder_layers": config.num_decoder_layers,
        "feed_forward_proj": kinds[config.activations],
        "tie_word_embeddings": config.tied_embeddings,
        "relative_attention_num_buckets": config.relative_buckets,
        "relative_attention_max_distance": config.relative_max_distance,
        "layer_norm_epsilon": 1e-6,
        "dropout_rate": 0.1,
        "is_encoder_decoder": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "decoder_start_token_id": 0,
    }
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    (directory / CONFIG).write_text(text, encoding="utf-8")
    shutil.copyfile(vocabulary_file, directory / VOCABULARY)
    tokenizer = {"tokenizer_class": "T5Tokenizer", "extra_ids": extra_ids}
    text = json.dumps(tokenizer, indent=2) + "\n"
    (directory / TOKENIZER).write_text(text, encoding="utf-8")
    tensors = {
        stored_name(ours): Transposed(parameter) if is_transposed(ours) else parameter
        for ours, parameter in parameters.items()
    }
    write_tensors(directory / WEIGHTS, tensors, {"format": "pt"}, progress)


def _open_files(directory: Path) -> dict[str, Parameter]:
    if (directory / SHARDS).is_file():
        path = directory / SHARDS
        try:
            files = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
            if not all(Path(name).name == name for name in files):
                raise ValueError("a file of weight_map is not in this directory")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"backbone weights {path}: damaged ({error})") from error
        found: dict[str, Parameter] = {}
        for name in sorted(files):
            found |= open_tensors(directory / name)
        return found
    if not (directory / WEIGHTS).exists():
        pickled = sorted(path.name for path in directory.glob("*.bin"))
        if pickled:
            raise UserError(
                f"backbone {directory}: it has no {WEIGHTS}, and {pickled[0]} would have to be "
                "unpickled, which can run any code in it; if you trust it, save it as safetensors "
                "with save_pretrained(..., safe_serialization=True) of transformers"
            )
        raise UserError(
            f"backbone {directory}: it has no {WEIGHTS} and no {SHARDS}; copy the weights there"
        )
    return open_tensors(directory / WEIGHTS)


def _read_config(path: Path, name: str) -> T5Config:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        kind = values.get("model_type")
    except OSError as error:
        raise UserError(f"backbone config {path}: cannot read it ({error.strerror})") from error
    except (ValueError, AttributeError) as error:
        raise UserError(f"backbone config {path}: not a JSON object ({error})") from error
    if kind not in ("t5", "mt5"):
        raise UserError(
            f"backbone config {path}: model_type is {kind!r}; only t5 and mt5 are supported"
        )
    sizes = {ours: values.get(theirs) for ours, theirs in _SIZES.items()}
    sizes |= {
        "num_decoder_layers": values.get("num_decoder_layers") or sizes["num_encoder_layers"],
        "relative_buckets": values.get("relative_attention_num_buckets", 32),
        "relative_max_distance": values.get("relative_attention_max_distance", 128),
    }
    for ours, size in sizes.items():
        if type(size) is not int or size < 1:
            theirs = _SIZES.get(ours, ours)
            raise UserError(f"backbone config {path}: {theirs} must be a size, not {size!r}")
    _check_variant(path, values)
    return T5Config(
        name=name,
        activations=_FEED_FORWARD[values.get("feed_forward_proj", "relu")],
        # Version 5 of transformers records tied embeddings as `scale_decoder_outputs`.
        tied_embeddings=values.get(
            "scale_decoder_outputs", values.get("tie_word_embeddings", True)
        ),
        **sizes,
    )


def _extra_ids(path: Path) -> int | None:
    """Returns the number of sentinels in a tokenizer's config, or None."""
    try:
        count = json.loads(path.read_text(encoding="utf-8")).get("extra_ids")
    except (OSError, ValueError, AttributeError):  # The file is optional.
        return None
    return count if type(count) is int and count >= 0 else None


def _check_variant(path: Path, values: Mapping[str, Any]) -> None:
    feed_forward = values.get("feed_forward_proj", "relu")
    if feed_forward not in _FEED_FORWARD:
        raise UserError(
            f"backbone config {path}: feed_forward_proj cannot be {feed_forward!r}"
            f"{nearest(str(feed_forward), _FEED_FORWARD)}; known are {', '.join(_FEED_FORWARD)}"
        )
    epsilon = values.get("layer_norm_epsilon", 1e-6)
    if epsilon != 1e-6:
        raise UserError(f"backbone config {path}: layer_norm_epsilon is {epsilon}, T5 has 1e-06")
