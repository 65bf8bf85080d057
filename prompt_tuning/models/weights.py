"""Backbones: pretrained models with their configs, vocabularies and stored parameters."""

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.sharding import Sharding

import prompt_tuning
from prompt_tuning.models.family import ModelConfig, family, parameter_shapes
from prompt_tuning.models.formats.native import is_native, open_native, write_native
from prompt_tuning.models.formats.stored_model import StoredModel
from prompt_tuning.models.parameters import (
    Parameter,
    ShardingOf,
    in_memory,
    load_parameters,
    read_whole,
)
from prompt_tuning.models.t5.architecture import describe_shapes
from prompt_tuning.models.vocabulary_file import check_vocabulary
from prompt_tuning.prompts import files
from prompt_tuning.storage import write_directory
from prompt_tuning.types import Params, UserError, nearest

SHIPPED = ("t5_mini",)
"""Backbones that come with the package, by name."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")  # `owner/name` or `owner/name@revision`


@dataclasses.dataclass(frozen=True)
class Outline:
    """A model without weights, for planning.

    Attributes:
        config: The shape of the model.
        param_dtype: Dtype of parameters on devices, "float32" or "bfloat16".
    """

    config: ModelConfig
    param_dtype: str

    @cached_property
    def shapes(self) -> Params:
        """The parameters as a tree of shapes and dtypes."""
        dtype = jnp.dtype(self.param_dtype)
        shapes = parameter_shapes(self.config)
        return unflatten_dict(
            {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}, sep="/"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained model with its vocabulary. Its parameters stay on disk until `load`.

    Attributes:
        config: The shape of the model.
        parameters: Its stored parameters by name.
        vocabulary_file: Its SentencePiece model.
        extra_ids: Number of sentinel ids at the end of the vocabulary.
        param_dtype: Dtype of parameters on devices, "float32" or "bfloat16".
    """

    config: ModelConfig
    parameters: Mapping[str, Parameter]
    vocabulary_file: Path
    extra_ids: int
    param_dtype: str

    @cached_property
    def outline(self) -> Outline:
        """The model without its weights."""
        return Outline(self.config, self.param_dtype)

    @property
    def shapes(self) -> Params:
        """The parameters as a tree of shapes and dtypes, without reading them."""
        return self.outline.shapes

    @cached_property
    def digest(self) -> str:
        """`files.digest` of the embedding table, which it reads."""
        name = family(self.config).embedding
        return files.digest(read_whole(self.parameters[name], name, np.dtype(np.float32)))

    def load(self, shardings: Sequence[Sharding | ShardingOf]) -> list[Params]:
        """Reads the parameters straight onto devices, once per sharding.

        Returns:
            One tree of all parameters per sharding; CPU devices share its memory.

        Raises:
            UserError: A parameter is damaged or not finite.
        """
        return load_parameters(self.parameters, shardings, jnp.dtype(self.param_dtype))


def open_backbone(
    name_or_path: str | os.PathLike,
    *,
    model: ModelConfig | None,
    vocabulary: Path | None,
    param_dtype: str,
) -> Backbone:
    """Opens a backbone in any supported format without reading weights; see `docs/weights.md`.

    Args:
        name_or_path: The name of a backbone that ships with the package; a directory in this
            project's, Hugging Face's or T5X's format, the last also on `gs://`; or the name of a
            model on the Hugging Face hub.
        model: Its shape, or None for the stored config.
        vocabulary: Its SentencePiece file, or None for the stored one.
        param_dtype: Dtype of parameters on devices, "float32" or "bfloat16".

    Raises:
        UserError: There is no such backbone, it is damaged, its weights do not match its config
            exactly, or the vocabulary is another model's.
    """
    stored = _open(os.fspath(name_or_path))
    config = _choose_config(stored, model)
    wanted = parameter_shapes(config)
    family(config).check_parameters(stored.place, stored.shapes, wanted)
    vocabulary_file = vocabulary or stored.vocabulary_file
    if vocabulary_file is None:
        raise UserError(
            f"backbone {name_or_path}: T5X checkpoints have no vocabulary; set VOCABULARY to "
            "the model's SentencePiece file"
        )
    return Backbone(
        config=config,
        parameters={name: stored.parameters[name] for name in wanted},
        vocabulary_file=vocabulary_file,
        extra_ids=check_vocabulary(vocabulary_file, config.vocab_size, stored.extra_ids),
        param_dtype=param_dtype,
    )


def is_remote(name_or_path: str) -> bool:
    """Returns whether a backbone must be downloaded, from `gs://` or the Hugging Face hub."""
    local = name_or_path in SHIPPED or Path(name_or_path).exists()
    remote = name_or_path.startswith("gs://") or _HUB_NAME.fullmatch(name_or_path)
    return not local and bool(remote)


def save_backbone(
    directory: str | os.PathLike,
    config: ModelConfig,
    params: Params,
    vocabulary_file: Path,
    extra_ids: int,
) -> None:
    """Writes a model to a directory that `open_backbone` opens, whole or not at all.

    An existing directory is replaced.

    Args:
        directory: The directory.
        config: The shape of the model.
        params: Its parameters, a tree of arrays.
        vocabulary_file: Its SentencePiece model, which is copied.
        extra_ids: Number of sentinel ids at the end of the vocabulary.

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


def _open(name_or_path: str) -> StoredModel:
    if name_or_path in SHIPPED:
        return open_native(Path(prompt_tuning.__file__).parent / "mini" / name_or_path)
    path = Path(name_or_path).expanduser()
    if name_or_path.startswith("gs://"):
        from prompt_tuning.models.formats import t5x

        return t5x.open_t5x(name_or_path)
    if path.is_dir():
        return _open_directory(path)
    if _HUB_NAME.fullmatch(name_or_path):
        from prompt_tuning.models.formats import hub

        return hub.open_from_hub(name_or_path)
    hint = nearest(name_or_path, SHIPPED) or f"; known are {', '.join(SHIPPED)}"
    raise UserError(f"backbone {name_or_path}: no such name or directory{hint}")


def _open_directory(path: Path) -> StoredModel:
    if is_native(path):
        return open_native(path)
    from prompt_tuning.models.formats import hugging_face

    if hugging_face.is_hugging_face(path):
        return hugging_face.open_hugging_face(path, path.resolve().name)
    steps = sorted(step.name for step in path.glob("checkpoint_*") if step.is_dir())
    if steps:
        raise UserError(
            f"backbone {path}: it is a directory of checkpoints; give one of them: "
            f"{', '.join(steps)}"
        )
    # TensorStore is slow to import.
    from prompt_tuning.models.formats import t5x

    if t5x.is_t5x(path):
        return t5x.open_t5x(str(path))
    raise UserError(
        f"backbone {path}: the directory has neither weights.safetensors nor model.safetensors nor "
        "a T5X checkpoint; see docs/weights.md"
    )


def _choose_config(stored: StoredModel, model: ModelConfig | None) -> ModelConfig:
    if stored.config is None:
        if model is not None:
            return model
        found = ", ".join(describe_shapes(stored.shapes).values()) or "no parameters of a T5"
        raise UserError(
            f"backbone {stored.place} does not say what model it is of (it has {found}); include "
            "a file from configs/models/ or set MODEL"
        )
    if model is None:
        return stored.config
    differ = [
        f"{field.name} {getattr(model, field.name)!r} (not {getattr(stored.config, field.name)!r})"
        for field in dataclasses.fields(model)
        if field.name not in ("name", "dtype")
        and getattr(model, field.name) != getattr(stored.config, field.name)
    ]
    if differ:
        raise UserError(
            f"backbone {stored.place} is not the model that MODEL describes, which has "
            f"{', '.join(differ)}; include the matching file from configs/models/, or set "
            "MODEL=None"
        )
    return model
