"""Frozen backbones: a model's shape, its vocabulary, and its parameters where they are stored."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.sharding import Sharding

from prompt_tuning.models import parameters as stored_parameters
from prompt_tuning.models.architecture import check_parameters
from prompt_tuning.models.config import T5Config
from prompt_tuning.models.formats.directory import write_directory
from prompt_tuning.models.formats.native import open_native, write_native
from prompt_tuning.models.formats.stored import Stored
from prompt_tuning.models.parameters import Parameter, in_memory, parameter_shapes, read_whole
from prompt_tuning.prompts.files import embedding_digest
from prompt_tuning.types import Params, UserError, nearest

SHIPPED = ("t5_mini",)
"""Backbones that come with the package, by name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen model with its vocabulary. Its parameters are read when they are loaded.

    Attributes:
        config: The shape of the model.
        parameters: Its parameters by name, where they are stored.
        vocabulary_file: Its SentencePiece model.
        extra_ids: Sentinel ids at the end of the vocabulary.
        param_dtype: What parameters are kept as on devices, "float32" or "bfloat16".
    """

    config: T5Config
    parameters: Mapping[str, Parameter]
    vocabulary_file: Path
    extra_ids: int
    param_dtype: str

    @property
    def shapes(self) -> Params:
        """The parameters as a tree of shapes and dtypes; nothing is read."""
        dtype = jnp.dtype(self.param_dtype)
        flat = {n: jax.ShapeDtypeStruct(p.shape, dtype) for n, p in self.parameters.items()}
        return unflatten_dict(flat, sep="/")

    @cached_property
    def digest(self) -> str:
        """`embedding_digest` of the embedding table, which is read for it."""
        name = "token_embedder/embedding"
        return embedding_digest(read_whole(self.parameters[name], name, np.dtype(np.float32)))

    def load(self, shardings: Sequence[Sharding]) -> list[Params]:
        """Reads the parameters straight into each of the shardings.

        Returns:
            One tree of all parameters for each sharding; CPU devices share its memory.

        Raises:
            UserError: A parameter is damaged, or not finite.
        """
        return stored_parameters.load(self.parameters, shardings, jnp.dtype(self.param_dtype))


def open_backbone(
    name_or_path: str | os.PathLike,
    *,
    model: T5Config | None,
    vocabulary: str | os.PathLike | None,
    param_dtype: str,
) -> Backbone:
    """Opens a backbone that ships with the package, or one from a directory; reads no weights.

    Args:
        name_or_path: The name, or the directory.
        model: Its shape, or None for the one that is stored with it.
        vocabulary: Its SentencePiece model, or None for the one that is stored with it.
        param_dtype: What parameters are kept as on devices, "float32" or "bfloat16".

    Raises:
        UserError: There is no such backbone, its config or weights are damaged, or its weights are
            not exactly the parameters that its config describes.
    """
    stored = _open(name_or_path)
    config = model or stored.config
    if config is None:
        raise UserError(f"backbone {stored.place} has no config; set MODEL")
    found = {name: parameter.shape for name, parameter in stored.parameters.items()}
    wanted = parameter_shapes(config)
    check_parameters(stored.place, found, wanted)
    vocabulary_file = stored.vocabulary_file if vocabulary is None else Path(vocabulary)
    if vocabulary_file is None:
        raise UserError(
            f"backbone {name_or_path}: sentencepiece.model is missing; put it there, "
            "or set VOCABULARY"
        )
    return Backbone(
        config=config,
        parameters={name: stored.parameters[name] for name in wanted},
        vocabulary_file=vocabulary_file,
        extra_ids=stored.extra_ids or 0,
        param_dtype=param_dtype,
    )


def save_backbone(
    directory: str | os.PathLike,
    config: T5Config,
    params: Params,
    vocabulary_file: Path,
    extra_ids: int,
) -> None:
    """Writes a model as a directory that `open_backbone` opens, in the place of what is there.

    It is whole or not written at all.

    Args:
        directory: The directory.
        config: The shape of the model.
        params: Its parameters, a tree of arrays.
        vocabulary_file: Its SentencePiece model, which is copied.
        extra_ids: Sentinel ids at the end of the vocabulary.

    Raises:
        UserError: A parameter is not finite.
    """
    with write_directory(Path(directory)) as folder:
        write_native(
            folder,
            config=config,
            parameters=in_memory(params),
            vocabulary_file=vocabulary_file,
            extra_ids=extra_ids,
        )


def _open(name_or_path: str | os.PathLike) -> Stored:
    if name_or_path in SHIPPED:
        return open_native(Path(__file__).parent / str(name_or_path))
    path = Path(name_or_path)
    if not path.is_dir():
        hint = nearest(str(name_or_path), SHIPPED) or f"; known are {', '.join(SHIPPED)}"
        raise UserError(f"backbone {name_or_path}: no such name or directory{hint}")
    return open_native(path)
