"""A pretrained model that is opened once and shared by all phases of a command."""

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
    """A pretrained model, its vocabulary and, once they are asked for, its parameters on devices.

    Args:
        backbone: The model where it is stored.
        vocabulary: Its vocabulary.

    Attributes:
        backbone: The model where it is stored.
        vocabulary: Its vocabulary.
    """

    def __init__(self, backbone: Backbone, vocabulary: Vocabulary):
        self.backbone = backbone
        self.vocabulary = vocabulary

    @property
    def name(self) -> str:
        """Its name."""
        return self.backbone.config.name

    @property
    def width(self) -> int:
        """Its width, H."""
        return self.backbone.config.emb_dim

    @functools.cached_property
    def digest(self) -> str:
        """The digest of its embedding table, by which prompts know it."""
        return self.backbone.digest

    @functools.cached_property
    def layouts(self) -> Sequence[partitioning.Layout]:
        """Where forward passes can run."""
        return partitioning.layouts()

    @functools.cached_property
    def frozen(self) -> dict[str, Params]:
        """Its parameters on every layout, by the layout's name; read when first asked for."""
        return partitioning.load(self.backbone, self.layouts)

    @functools.cached_property
    def embeddings(self) -> np.ndarray:
        """Its embedding table `[V, H]`, on the host."""
        return np.asarray(self.prompted("prefix").embedding(self.frozen[self.layouts[0].name]))

    def prompted(self, placement: str, *, remat: bool = False) -> PromptedModel:
        """Returns the model with prompts among its inputs.

        Args:
            placement: Where prompts stand among the inputs.
            remat: Whether the backward pass computes each block again, to save memory.
        """
        return prompted(self.backbone.config, find_placement(placement), remat=remat)

    def frozen_beside(self, parameterization: Parameterization) -> dict[str, Params]:
        """Returns what stays frozen while rows train, on every layout: nothing of a tuned model."""
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
        """Returns what predicts and scores with prompts on this model.

        Args:
            placement: Where prompts stand among the inputs.
            decoder: How answers are read off the model.
            batch_size: Examples decoded together.
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


def read_spread(backbone: Backbone, layout: partitioning.Layout) -> Params:
    """Reads parameters of a model, spread over the devices of a layout."""
    (params,) = backbone.load([layout.spread])
    return jax.block_until_ready(params)
