"""The frozen T5 with soft prompts in its encoder inputs."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from prompt_tuning.models.prompted import (
    Batch,
    DecodeState,
    Dropout,
    Encoded,
    sequence_log_probs,
)
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.layers import NEURONS
from prompt_tuning.models.t5.network import T5
from prompt_tuning.prompts.bank import Bank
from prompt_tuning.prompts.placement import Placement
from prompt_tuning.types import Array, Params


@dataclasses.dataclass(frozen=True)
class PromptedT5:
    """A T5 whose encoder reads a soft prompt with every input; a `PromptedModel`.

    Prompts are joined to the embedded tokens before input dropout, so dropout applies to them too,
    and have the relative positions of their placement (Lester et al. 2021).

    Attributes:
        config: The shape of the T5.
        placement: How prompts and embedded tokens are combined.
        remat: Whether the backward pass recomputes each block; see `T5`.
        positions: Positions to encode at a time, as whole examples; None for all. With few, their
            activations fit a CPU's cache. With several passes, passes of padding alone are skipped
            and their output is 0.
    """

    config: T5Config
    placement: Placement
    remat: bool = False
    positions: int | None = None

    @property
    def name(self) -> str:
        """The backbone's name."""
        return self.config.name

    @property
    def width(self) -> int:
        """The width of the model, H."""
        return self.config.emb_dim

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding table, V."""
        return self.config.vocab_size

    @property
    def dtype(self) -> str:
        """The compute dtype."""
        return self.config.dtype

    def with_positions(self, positions: int | None) -> "PromptedT5":
        """Returns a model that encodes `positions` at a time."""
        return dataclasses.replace(self, positions=positions)

    def embedding(self, params: Params) -> Array:
        """Returns the embedding table `[V, H]`."""
        return params["token_embedder"]["embedding"]

    def encode(
        self, params: Params, bank: Bank, tokens: Array, prompt_id: Array, drop: Dropout | None
    ) -> Encoded:
        """Encodes inputs; see `PromptedModel.encode`."""

        def encode(rows: tuple[Array, Array, Array | None]) -> tuple[Array, Array]:
            tokens, prompt_id, keys = rows
            row_drop = None if drop is None else drop._replace(keys=keys)
            return self._apply(_encode, params, self.placement, bank, tokens, prompt_id, row_drop)

        rows = (tokens, prompt_id, None if drop is None else drop.keys)
        examples, length = tokens.shape
        size = self.pass_size(examples, bank.length + length)
        states, mask = encode(rows) if size == examples else _in_passes(encode, rows, size)
        return Encoded(states, mask, ~jnp.any(tokens > 0, axis=1))

    def pass_size(self, examples: int, length: int) -> int:
        """Returns how many of `examples` of `length` positions are encoded at a time."""
        most = examples if self.positions is None else max(self.positions // length, 1)
        return max(n for n in range(1, examples + 1) if n <= most and examples % n == 0)

    def decode(
        self, params: Params, encoded: Encoded, targets: Array, drop: Dropout | None
    ) -> Array:
        """Returns the logits `[B, L, V]` of each target token given the input and those before.

        Args:
            params: The model's parameters.
            encoded: The inputs.
            targets: `[B, L]`, not shifted.
            drop: Dropout rate and per-example keys, or None for no dropout.
        """
        inputs = (encoded.states, encoded.mask, shift_right(targets))
        return self._apply(T5.decode, params, *inputs, drop)

    def logits(self, params: Params, bank: Bank, batch: Batch, drop: Dropout | None) -> Array:
        """Encodes a batch and decodes its targets; see `encode` and `decode`."""
        encoded = self.encode(params, bank, batch.encoder_tokens, batch.prompt_id, drop)
        return self.decode(params, encoded, batch.targets, drop)

    def log_likelihood(self, params: Params, encoded: Encoded, targets: Array) -> Array:
        """Returns log p(targets `[B, L]` | input) in nats, `[B]`."""
        return sequence_log_probs(self.decode(params, encoded, targets, None), targets)

    def start_decoding(self, params: Params, encoded: Encoded, length: int) -> DecodeState:
        """Returns the state before the first of at most `length` decoded tokens."""
        return self._apply(T5.start_decoding, params, encoded.states, encoded.mask, length)

    def decode_step(
        self, params: Params, tokens: Array, state: DecodeState
    ) -> tuple[Array, DecodeState]:
        """Returns the logits `[B, V]` after the tokens `[B]` decoded last, and the next state."""
        return self._apply(T5.decode_step, params, tokens, state)

    def capture(self, params: Params, bank: Bank, batch: Batch) -> dict[str, Array]:
        """Returns the pre-activations of each feed-forward layer.

        As in training, the decoder reads targets shifted by one.

        Returns:
            Arrays by name of the layer: `encoder/layers_0/mlp`, `[B, P+T, mlp_dim]`, and
            `decoder/layers_0/mlp`, `[B, L, mlp_dim]`.
        """

        def run(module: T5) -> Array:
            inputs = (batch.encoder_tokens, batch.prompt_id)
            states, mask = _encode(module, self.placement, bank, *inputs, None)
            return module.decode(states, mask, shift_right(batch.targets), None)

        _, captured = nn.apply(run, self._network, mutable="intermediates")({"params": params})
        flat: dict[str, Any] = flatten_dict(captured["intermediates"], sep="/")
        return {name.removesuffix(f"/{NEURONS}"): value for name, (value,) in flat.items()}

    @property
    def _network(self) -> T5:
        return T5(self.config, self.remat)

    def _apply(self, method: Callable, params: Params, *args: Any) -> Any:
        return self._network.apply({"params": params}, *args, method=method)


def shift_right(targets: Array) -> Array:
    """Returns the decoder inputs `[..., L]` of targets `[..., L]`: a 0, then all but the last."""
    start = jnp.zeros_like(targets[..., :1])
    return jnp.concatenate([start, targets[..., :-1]], axis=-1)


def _encode(
    module: T5,
    placement: Placement,
    bank: Bank,
    tokens: Array,
    prompt_id: Array,
    drop: Dropout | None,
) -> tuple[Array, Array]:
    """Encodes inputs with their prompts, all at once; returns the output and its mask."""
    embedded = module.embed(tokens)
    prompts = bank.select(prompt_id, embedded, tokens)
    embedded, mask = placement(prompts, embedded, tokens)
    return module.encode(embedded, mask, drop), mask


def _in_passes(encode: Callable[[Any], tuple[Array, Array]], rows: Any, size: int) -> Any:
    """Encodes `size` of `rows` (tokens and other arrays `[B, ...]`) at a time."""

    def encode_some(some: Any) -> tuple[Array, Array]:
        def nothing(some: Any) -> tuple[Array, Array]:
            shapes = jax.eval_shape(encode, some)
            return jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

        return jax.lax.cond(jnp.any(some[0] > 0), encode, nothing, some)

    passes = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), rows)
    encoded = jax.lax.map(encode_some, passes)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), encoded)
