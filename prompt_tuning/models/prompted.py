"""The frozen T5 with soft prompts among its encoder inputs, and its loss."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from prompt_tuning.models.decoder import DecodeState
from prompt_tuning.models.layers import Dropout
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.bank import select
from prompt_tuning.prompts.placement import Placement
from prompt_tuning.types import Array, Params


class Batch(NamedTuple):
    """Examples, each with the id of its prompt.

    Attributes:
        encoder_tokens: `[B, T]` int32, 0 at padding.
        targets: `[B, L]` int32, 0 at padding.
        prompt_id: `[B]` int32, the example's row of the bank.
    """

    encoder_tokens: Array
    targets: Array
    prompt_id: Array


@dataclasses.dataclass(frozen=True)
class PromptedT5:
    """A T5 whose encoder reads a soft prompt with every input.

    Prompts join the embedded tokens before input dropout, so dropout touches them too, and take
    the relative positions of where they stand (Lester et al. 2021).

    Attributes:
        model: The model.
        placement: How prompts and embedded tokens are combined.
        positions: Positions that go through the encoder at a time, as whole examples; None for all.
            On a CPU the activations of few stay in its cache. Of several passes, those whose inputs
            are all padding are left out; their output is 0.
    """

    model: T5
    placement: Placement
    positions: int | None = None

    def encode(
        self,
        params: Params,
        bank: Array,
        encoder_tokens: Array,
        prompt_id: Array,
        drop: Dropout | None,
    ) -> tuple[Array, Array]:
        """Returns the encoder output `[B, P+T, H]` and its mask `[B, P+T]`.

        Args:
            params: The model's parameters.
            bank: Soft prompts `[N, P, H]`.
            encoder_tokens: `[B, T]`, 0 at padding.
            prompt_id: `[B]`, each example's row of `bank`.
            drop: Dropout rate and per-example keys, or None for no dropout.
        """

        def encode(rows: tuple[Array, Array, Array | None]) -> tuple[Array, Array]:
            tokens, of_bank, keys = rows
            embedded = self._apply("embed", params, tokens)
            embedded, mask = self.placement(select(bank, of_bank), embedded, tokens)
            masks = None if drop is None else drop._replace(keys=keys)
            return self._apply("encode", params, embedded, mask, masks), mask

        rows = (encoder_tokens, prompt_id, None if drop is None else drop.keys)
        examples, width = encoder_tokens.shape
        size = self.pass_size(examples, bank.shape[1] + width)
        return encode(rows) if size == examples else _in_passes(encode, rows, size)

    def pass_size(self, examples: int, length: int) -> int:
        """Returns how many of `examples` of `length` positions are encoded at a time."""
        most = examples if self.positions is None else max(self.positions // length, 1)
        return max(n for n in range(1, examples + 1) if n <= most and examples % n == 0)

    def decode(
        self, params: Params, encoded: Array, mask: Array, targets: Array, drop: Dropout | None
    ) -> Array:
        """Returns the logits `[B, L, V]` of every target token given those before it.

        Args:
            params: The model's parameters.
            encoded: The encoder output `[B, P+T, H]`.
            mask: Its mask `[B, P+T]`.
            targets: `[B, L]`, not shifted.
            drop: Dropout rate and per-example keys, or None for no dropout.
        """
        return self._apply("decode", params, encoded, mask, shift_right(targets), drop)

    def logits(self, params: Params, bank: Array, batch: Batch, drop: Dropout | None) -> Array:
        """Encodes a batch and decodes its targets; see `encode` and `decode`."""
        encoded, mask = self.encode(params, bank, batch.encoder_tokens, batch.prompt_id, drop)
        return self.decode(params, encoded, mask, batch.targets, drop)

    def start_decoding(
        self, params: Params, encoded: Array, mask: Array, length: int
    ) -> DecodeState:
        """Returns the state before the first of at most `length` decoded tokens."""
        return self._apply("start_decoding", params, encoded, mask, length)

    def decode_step(
        self, params: Params, tokens: Array, state: DecodeState
    ) -> tuple[Array, DecodeState]:
        """Returns the logits `[B, V]` after the tokens `[B]` decoded last, and the next state."""
        return self._apply("decode_step", params, tokens, state)

    def _apply(self, method: str, params: Params, *args: Any) -> Any:
        return self.model.apply({"params": params}, *args, method=method)


def shift_right(targets: Array) -> Array:
    """Returns the decoder inputs `[..., L]` of targets `[..., L]`: a 0, then all but the last."""
    start = jnp.zeros_like(targets[..., :1])
    return jnp.concatenate([start, targets[..., :-1]], axis=-1)


def token_log_probs(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Returns log p(target) and log Z, each `[..., L]`, of logits `[..., L, V]`."""
    log_z = jax.nn.logsumexp(logits, axis=-1)
    # A masked sum instead of a gather: its gradient is dense anyway, and needs no scatter.
    rows = jax.lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    hit = targets[..., None] == rows
    return jnp.sum(jnp.where(hit, logits, 0.0), axis=-1) - log_z, log_z


def cross_entropy(logits: Array, targets: Array, z_loss: ArrayLike) -> Array:
    """Returns each example's loss in nats, `[B]`, summed over its target tokens.

    `sum_t -log p(y_t) + z_loss * (log Z_t)^2`, where Z_t normalises the softmax of token t; padding
    (0) adds nothing (Lester et al. 2021; the z-loss is T5X's).

    Args:
        logits: `[B, L, V]`, float32 or wider.
        targets: `[B, L]`, 0 at padding.
        z_loss: Weight of the second term.
    """
    log_probs, log_z = token_log_probs(logits, targets)
    losses = jnp.asarray(z_loss, logits.dtype) * jnp.square(log_z) - log_probs
    return jnp.sum(jnp.where(targets > 0, losses, 0.0), axis=-1)


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
