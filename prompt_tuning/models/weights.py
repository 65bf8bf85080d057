"""Frozen backbones on disk: a directory with config, weights and vocabulary.

config.json           `model`: the fields of `T5Config` (`dtype` may be left out);
                      `vocabulary`: at least `extra_ids`
weights.safetensors   parameters by T5X name, `encoder/layers_0/attention/query/kernel`
sentencepiece.model   the vocabulary
"""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax.traverse_util import flatten_dict, unflatten_dict

from prompt_tuning.models.config import T5Config
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.files import embedding_digest
from prompt_tuning.types import Params, UserError, nearest

SHIPPED = ("t5_mini",)
"""Backbones that come with the package, by name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen model with its vocabulary.

    Attributes:
        config: The shape of the model.
        params: Its parameters, float32.
        vocabulary_file: Its SentencePiece model.
        extra_ids: Sentinel ids at the end of the vocabulary.
        digest: `embedding_digest` of its embedding table.
    """

    config: T5Config
    params: Params
    vocabulary_file: Path
    extra_ids: int
    digest: str


def load_backbone(name_or_path: str | os.PathLike) -> Backbone:
    """Loads a backbone that ships with the package, or one from a directory.

    Raises:
        UserError: There is no such backbone, its config or weights are damaged, or its weights are
            not exactly the parameters that its config describes.
    """
    directory = _directory(name_or_path)
    config, extra_ids = _read_config(directory / "config.json")
    params = _read_params(directory / "weights.safetensors", config)
    vocabulary_file = directory / "sentencepiece.model"
    if not vocabulary_file.is_file():
        raise UserError(f"backbone {directory}: sentencepiece.model is missing; put it there")
    return Backbone(
        config=config,
        params=params,
        vocabulary_file=vocabulary_file,
        extra_ids=extra_ids,
        digest=embedding_digest(params["token_embedder"]["embedding"]),
    )


def parameter_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every parameter by its name, without making any."""
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    variables = jax.eval_shape(T5(config).init, jax.random.key(0), tokens, tokens)
    flat = flatten_dict(variables["params"], sep="/")
    return {name: leaf.shape for name, leaf in sorted(flat.items())}


def _directory(name_or_path: str | os.PathLike) -> Path:
    if name_or_path in SHIPPED:
        return Path(__file__).parent / str(name_or_path)
    path = Path(name_or_path)
    if not path.is_dir():
        hint = nearest(str(name_or_path), SHIPPED) or f"; known are {', '.join(SHIPPED)}"
        raise UserError(f"backbone {name_or_path}: no such name or directory{hint}")
    return path


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
        return value in ("float32", "bfloat16", "float64")
    if name == "activations":
        known = ("gelu", "relu", "silu", "linear")
        return isinstance(value, list) and bool(value) and all(v in known for v in value)
    return type(value) is int and value >= (0 if name == "extra_ids" else 1)


def _read_params(path: Path, config: T5Config) -> Params:
    try:
        flat = safetensors.numpy.load_file(path)
    except OSError as error:
        reason = error.strerror or "no such file"
        raise UserError(f"backbone weights {path}: cannot read them ({reason})") from error
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"backbone weights {path}: damaged ({error}); copy them again") from error
    _check_parameters(path, flat, parameter_shapes(config))
    params = {name: np.asarray(value, np.float32) for name, value in flat.items()}
    broken = [name for name, value in params.items() if not np.isfinite(value).all()]
    if broken:
        raise UserError(f"backbone weights {path}: not finite: {', '.join(broken)}")
    return unflatten_dict(params, sep="/")


def _check_parameters(
    path: Path, found: dict[str, np.ndarray], wanted: dict[str, tuple[int, ...]]
) -> None:
    problems = [f"missing {name}" for name in wanted if name not in found]
    problems += [f"extra {name}" for name in sorted(found) if name not in wanted]
    problems += [
        f"{name} has shape {list(found[name].shape)}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name].shape != shape
    ]
    if problems:
        raise UserError(
            f"backbone weights {path} do not fit config.json: {'; '.join(problems)};"
            " use the config that they were saved with"
        )
