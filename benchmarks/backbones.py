"""The frozen model of a case: a T5 with random weights, or one that ships with the package."""

import dataclasses
import zlib
from pathlib import Path

import numpy as np

from benchmarks import cases
from benchmarks.cases import Case
from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.formats.native import write_native
from prompt_tuning.models.parameters import Index
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.weights import Backbone


def open_model(case: Case) -> Backbone:
    """Opens a case's model; random weights are drawn when they are loaded."""
    setup, _ = cases.configured(case)
    if setup.model is None:
        return setup.open_backbone()
    shapes = parameter_shapes(setup.model)
    return Backbone(
        config=setup.model,
        parameters={name: _Random(name, shape) for name, shape in shapes.items()},
        vocabulary_file=Path("none"),
        extra_ids=0,
        param_dtype=setup.param_dtype,
    )


def model_config(case: Case) -> T5Config:
    """Returns the shape of a case's model."""
    setup, _ = cases.configured(case)
    config = setup.model or open_model(case).config
    assert isinstance(config, T5Config)
    return config


def save(case: Case, folder: Path) -> None:
    """Writes a case's model to a directory that a run can open, with a vocabulary of digits."""
    backbone = open_model(case)
    folder.mkdir()
    vocabulary = folder.with_suffix(".spm")
    write_vocabulary(vocabulary, backbone.config.vocab_size)
    write_native(
        folder,
        config=backbone.config,
        parameters=backbone.parameters,
        vocabulary_file=vocabulary,
        extra_ids=0,
    )


@dataclasses.dataclass(frozen=True)
class _Random:
    """A parameter drawn when it is read, about as large as a trained one."""

    place: str
    shape: tuple[int, ...]
    dtype = np.dtype(np.float32)

    def read_into(self, index: Index, out: np.ndarray) -> None:
        del index
        random = np.random.default_rng(zlib.crc32(self.place.encode()))
        if self.place.endswith("scale"):
            out[...] = 1.0
            return
        deviation = 1.0 if "embedding" in self.place else self.shape[0] ** -0.5
        if "query" in self.place:
            deviation *= 0.125
        for row in out.reshape(-1, out.shape[-1]):
            row[...] = random.standard_normal(len(row), np.float32) * np.float32(deviation)

    def split(self, index: Index) -> list[Index]:
        return [index]
