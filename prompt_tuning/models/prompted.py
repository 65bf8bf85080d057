"""Inputs and outputs of a prompted model of any family, and the loss."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from prompt_tuning.types import Array


class Batch(NamedTuple):
    """Examples, each with the id of its prompt.

    Attributes:
        encoder_tokens: `[B, T]` int32, 0 at padding.
        targets: `[B, L]` int32, 0 at padding.
        prompt_id: `[B]` int32, the example's index into the bank.
    """

    encoder_tokens: Array
    targets: Array
    prompt_id: Array


class Dropout(NamedTuple):
    """The dropout of one forward pass.

    Each example has its own key, so its mask depends neither on the rest of the batch nor on its
    padding.

    Attributes:
        rate: Probability of zeroing, in [0, 1).
        keys: `[B]` random keys, one per example.
    """

    rate: float
    keys: Array


class Encoded(NamedTuple):
    """Encoded inputs, to decode or score.

    Attributes:
        states: `[B, P+T, H]`, 0 at padding.
        mask: `[B, P+T]` bool, False at padding.
        filler: `[B]` bool, whether an input is all padding, to fill up a batch.
    """

    states: Array
    mask: Array
    filler: Array


class DecodeState(NamedTuple):
    """The state between two decoding steps; each family defines the trees.

    Attributes:
        cache: State of the decoded tokens, a tree of arrays `[B, ...]`.
        memory: State of the input, a tree of arrays that no step changes.
        index: Number of tokens decoded so far.
    """

    cache: Any
    memory: Any
    index: Array


def token_log_probs(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Returns log p(target) and log Z, each `[..., L]`, of logits `[..., L, V]`."""
    log_z = jax.nn.logsumexp(logits, axis=-1)
    # A masked sum instead of a gather: the gradient is dense anyway, and this needs no scatter.
    rows = jax.lax.broadcasted_iota(targets.dtype, logits.shape, logits.ndim - 1)
    hit = targets[..., None] == rows
    return jnp.sum(jnp.where(hit, logits, 0.0), axis=-1) - log_z, log_z


def sequence_log_probs(logits: Array, targets: Array) -> Array:
    """Returns log p(targets) in nats, `[...]`, of logits `[..., L, V]`; padding adds nothing."""
    log_probs, _ = token_log_probs(logits, targets)
    return jnp.sum(jnp.where(targets > 0, log_probs, 0.0), axis=-1)


def cross_entropy(logits: Array, targets: Array, z_loss: ArrayLike) -> Array:
    """Returns each example's loss in nats, `[B]`, summed over its target tokens.

    `sum_t -log p(y_t) + z_loss * (log Z_t)^2`, where Z_t normalizes the softmax of token t; padding
    (0) adds nothing (Lester et al. 2021; the z-loss is T5X's).

    Args:
        logits: `[B, L, V]`, float32 or wider.
        targets: `[B, L]`, 0 at padding.
        z_loss: Weight of the second term.
    """
    log_probs, log_z = token_log_probs(logits, targets)
    losses = jnp.asarray(z_loss, logits.dtype) * jnp.square(log_z) - log_probs
    return jnp.sum(jnp.where(targets > 0, losses, 0.0), axis=-1)
