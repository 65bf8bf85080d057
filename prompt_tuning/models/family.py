"""What a frozen model must offer, whatever its family, and the families there are."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from prompt_tuning.models.prompted import Batch, DecodeState, Dropout, Encoded
from prompt_tuning.models.t5.architecture import check_parameters
from prompt_tuning.models.t5.axes import logical_axes as t5_axes
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.models.t5.shapes import EMBEDDING
from prompt_tuning.models.t5.shapes import parameter_shapes as t5_shapes
from prompt_tuning.prompts.bank import Bank
from prompt_tuning.prompts.placement import Placement
from prompt_tuning.types import Array, Params

Shapes = dict[str, tuple[int, ...]]
"""Shapes of parameters by name."""


class ModelConfig(Protocol):
    """The shape of a model: a frozen dataclass of its family, with at least these fields.

    Attributes:
        family: Names the family, an entry of `FAMILIES`.
        name: The backbone's name, written into prompt files.
        vocab_size: Rows of the embedding table, V.
        emb_dim: Model width, H.
        dtype: Compute dtype.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    family: ClassVar[str]

    @property
    def name(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def emb_dim(self) -> int: ...
    @property
    def dtype(self) -> str: ...


class PromptedModel(Protocol):
    """A frozen model that reads a soft prompt with every input; hashable, without parameters.

    Attributes:
        name: The backbone's name.
        width: Model width, H.
        vocab_size: Rows of the embedding table, V.
        dtype: What it computes in.
    """

    @property
    def name(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def dtype(self) -> str: ...

    def with_positions(self, positions: int | None) -> "PromptedModel":
        """Returns the model that encodes `positions` at a time, as whole examples; None for all."""
        ...

    def pass_size(self, examples: int, length: int) -> int:
        """Returns how many of `examples` of `length` positions are encoded at a time."""
        ...

    def embedding(self, params: Params) -> Array:
        """Returns the embedding table `[V, H]`."""
        ...

    def encode(
        self, params: Params, bank: Bank, tokens: Array, prompt_id: Array, drop: Dropout | None
    ) -> Encoded:
        """Reads inputs, each with its prompt.

        Args:
            params: The model's parameters.
            bank: The soft prompts.
            tokens: `[B, T]`, 0 at padding.
            prompt_id: `[B]`, each example's entry of `bank`.
            drop: Dropout rate and per-example keys, or None for no dropout.
        """
        ...

    def logits(self, params: Params, bank: Bank, batch: Batch, drop: Dropout | None) -> Array:
        """Returns the logits `[B, L, V]` of every target token given the input and those before."""
        ...

    def log_likelihood(self, params: Params, encoded: Encoded, targets: Array) -> Array:
        """Returns log p(targets `[B, L]` | input) in nats, `[B]`, EOS included."""
        ...

    def start_decoding(self, params: Params, encoded: Encoded, length: int) -> DecodeState:
        """Returns the state before the first of at most `length` decoded tokens."""
        ...

    def decode_step(
        self, params: Params, tokens: Array, state: DecodeState
    ) -> tuple[Array, DecodeState]:
        """Returns the logits `[B, V]` after the tokens `[B]` decoded last, and the next state."""
        ...

    def capture(self, params: Params, bank: Bank, batch: Batch) -> dict[str, Array]:
        """Returns activations inside the model by name, each `[B, ...]`."""
        ...


class Family(NamedTuple):
    """What a family says of its models.

    Attributes:
        config: The class of its configs.
        prompted: Makes the prompted model: `(config, placement, remat, positions)`.
        parameter_shapes: Gives the shape of every parameter by name.
        logical_axes: Gives the logical axes of every parameter by name, as T5X calls them.
        check_parameters: Checks stored shapes: `(place, stored, wanted)`; raises a UserError.
        embedding: The name of the embedding table.
    """

    config: type[ModelConfig]
    prompted: Callable[..., PromptedModel]
    parameter_shapes: Callable[[Any], Shapes]
    logical_axes: Callable[[Any], dict[str, tuple[str, ...]]]
    check_parameters: Callable[[str, Shapes, Shapes], None]
    embedding: str


FAMILIES = {"t5": Family(T5Config, PromptedT5, t5_shapes, t5_axes, check_parameters, EMBEDDING)}
"""The families by the name that configs have."""


def family(config: ModelConfig) -> Family:
    """Returns the family of a model."""
    return FAMILIES[config.family]


def prompted(
    config: ModelConfig,
    placement: Placement,
    *,
    remat: bool = False,
    positions: int | None = None,
) -> PromptedModel:
    """Returns the model of a config; equal arguments give equal models.

    Args:
        config: The shape of the model.
        placement: How prompts and embedded tokens are combined.
        remat: Whether the backward pass computes each block again instead of keeping what the
            forward pass computed inside it: less memory for about a third more time.
        positions: Positions that are encoded at a time, as whole examples; None for all.
    """
    return family(config).prompted(config, placement, remat, positions)


def parameter_shapes(config: ModelConfig) -> Shapes:
    """Returns the shape of every parameter by its name, without making any."""
    return family(config).parameter_shapes(config)


def logical_axes(config: ModelConfig) -> dict[str, tuple[str, ...]]:
    """Returns the logical axes of every parameter by its name, one for each of its axes."""
    return family(config).logical_axes(config)
