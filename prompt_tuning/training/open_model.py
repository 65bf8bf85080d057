"""A pretrained model, opened once and shared by all phases of a command."""

import functools
from collections.abc import Sequence

import jax
import numpy as np

from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.models.decoding import Decoder
from prompt_tuning.models.family import PromptedModel, prompted
from prompt_tuning.models.weights import Backbone
from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training import partitioning
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.types import Params


class OpenModel:
    """A pretrained model, its vocabulary and, read on first use, its parameters on devices.

    Attributes:
        backbone: The stored model.
        vocabulary: Its vocabulary.
    """

    def __init__(self, backbone: Backbone, vocabulary: Vocabulary):
        self.backbone = backbone
        self.vocabulary = vocabulary

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.backbone.config.name

    @property
    def width(self) -> int:
        """Model width, H."""
        return self.backbone.config.emb_dim

    @functools.cached_property
    def digest(self) -> str:
        """Digest of the embedding table, which prompt files record."""
        return self.backbone.digest

    @functools.cached_property
    def layouts(self) -> Sequence[partitioning.Layout]:
        """Layouts that forward passes can run on."""
        return partitioning.layouts()

    @functools.cached_property
    def frozen(self) -> dict[str, Params]:
        """Parameters on every layout, keyed by layout name; read on first use."""
        return partitioning.load_replicated(self.backbone, self.layouts)

    @functools.cached_property
    def embeddings(self) -> np.ndarray:
        """Embedding table, `[V, H]`, on the host."""
        return np.asarray(self.prompted("prefix").embedding(self.frozen[self.layouts[0].name]))

    def prompted(self, placement: str, *, remat: bool = False) -> PromptedModel:
        """Returns the model as a function of prompts and inputs.

        Args:
            placement: Where the prompt is inserted in the input, a key of `placement.PLACEMENTS`.
            remat: Whether the backward pass recomputes each block, to save memory.
        """
        return prompted(self.backbone.config, find_placement(placement), remat=remat)

    def frozen_for(self, parameterization: Parameterization) -> dict[str, Params]:
        """Returns the frozen parameters on every layout; empty trees in model tuning."""
        if parameterization.tunes_model:
            return {layout.name: {} for layout in self.layouts}
        return self.frozen

    def evaluator(
        self,
        placement: str,
        decoder: Decoder,
        *,
        batch_size: int,
        shapes: Sequence[tuple[int, int]],
    ) -> Evaluator:
        """Returns an evaluator of prompts on this model.

        Args:
            placement: Where the prompt is inserted in the input, a key of `placement.PLACEMENTS`.
            decoder: Generates or ranks answers.
            batch_size: Examples per batch.
            shapes: Pairs (T, L) that inputs and targets are padded to.

        Raises:
            UserError: As `Evaluator`.
        """
        return Evaluator(
            self.prompted(placement),
            self.frozen,
            self.layouts,
            self.vocabulary,
            decoder,
            batch_size=batch_size,
            shapes=shapes,
        )


def load_sharded(backbone: Backbone, layout: partitioning.Layout) -> Params:
    """Reads a model's parameters, sharded over the devices of a layout."""
    (params,) = backbone.load([layout.sharded])
    return jax.block_until_ready(params)
