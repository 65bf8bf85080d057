"""Decoding with a KV cache: greedy search and nucleus sampling.

Both stop when every row has produced its EOS. A row whose input is all padding (it fills up a
batch) is finished from the start, and its output is all 0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from prompt_tuning.models.decoder import DecodeState
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.types import Array, Params, UserError

EOS = 1


def greedy(
    model: PromptedT5,
    params: Params,
    bank: Array,
    encoder_tokens: Array,
    prompt_id: Array,
    *,
    length: int,
) -> Array:
    """Returns the tokens `[B, length]` of greedy decoding: the most likely one at every step.

    Args:
        model: The prompted model.
        params: The model's parameters.
        bank: Soft prompts `[N, P, H]`.
        encoder_tokens: `[B, T]`, 0 at padding.
        prompt_id: `[B]`, each example's row of `bank`.
        length: Tokens to decode at most, EOS included.

    Returns:
        int32, 0 after a row's EOS.
    """

    def most_likely(logits: Array, step: Array) -> Array:
        del step
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)

    encoded, mask = model.encode(params, bank, encoder_tokens, prompt_id, None)
    state = model.start_decoding(params, encoded, mask, length)
    return _decode(model, params, state, is_filler(encoder_tokens), length, most_likely)


def sample(
    model: PromptedT5,
    params: Params,
    bank: Array,
    encoder_tokens: Array,
    prompt_id: Array,
    keys: Array,
    *,
    length: int,
    temperature: float,
    top_p: float,
) -> Array:
    """Returns tokens `[B, length]` drawn by nucleus sampling (Holtzman et al. 2020).

    Args:
        model: The prompted model.
        params: The model's parameters.
        bank: Soft prompts `[N, P, H]`.
        encoder_tokens: `[B, T]`, 0 at padding.
        prompt_id: `[B]`, each example's row of `bank`.
        keys: `[B]` random keys, one per example, so that a draw does not depend on batch mates.
        length: Tokens to decode at most, EOS included.
        temperature: Divides the logits; above 0.
        top_p: Probability that the nucleus holds at least, in (0, 1].

    Returns:
        int32, 0 after a row's EOS.

    Raises:
        UserError: `temperature` or `top_p` is out of range.
    """
    if not temperature > 0.0:
        raise UserError(f"sampling: temperature is {temperature}; it must be above 0")
    if not 0.0 < top_p <= 1.0:
        raise UserError(f"sampling: top_p is {top_p}; it must be above 0 and at most 1")

    def draw(logits: Array, step: Array) -> Array:
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
        drawn = jax.vmap(jax.random.categorical)(step_keys, nucleus(logits / temperature, top_p))
        return drawn.astype(jnp.int32)

    encoded, mask = model.encode(params, bank, encoder_tokens, prompt_id, None)
    state = model.start_decoding(params, encoded, mask, length)
    return _decode(model, params, state, is_filler(encoder_tokens), length, draw)


def nucleus(logits: Array, top_p: float) -> Array:
    """Sets to -inf what is outside the nucleus of logits `[..., V]`.

    The nucleus is the smallest set of most likely tokens whose probabilities sum to at least
    `top_p`; it is never empty.
    """
    if top_p >= 1.0:
        return logits
    order = jnp.argsort(logits, axis=-1, descending=True)
    probabilities = jnp.take_along_axis(jax.nn.softmax(logits, axis=-1), order, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    ranks = jnp.argsort(order, axis=-1)
    return jnp.where(jnp.take_along_axis(before < top_p, ranks, axis=-1), logits, -jnp.inf)


def is_filler(encoder_tokens: Array) -> Array:
    """Returns `[B]` bool: whether a row of `[B, T]` is all padding, there to fill up a batch."""
    return ~jnp.any(encoder_tokens > 0, axis=1)


def _decode(
    model: PromptedT5,
    params: Params,
    state: DecodeState,
    done: Array,
    length: int,
    choose: Callable[[Array, Array], Array],
) -> Array:
    """Decodes one token per row and step with `choose(logits [B, V], step) -> [B]`."""

    def go_on(carry: tuple[Array, Array, Array, DecodeState]) -> Array:
        _, _, done, state = carry
        return (state.index < length) & ~jnp.all(done)

    def step(
        carry: tuple[Array, Array, Array, DecodeState],
    ) -> tuple[Array, Array, Array, DecodeState]:
        output, last, done, state = carry
        index = state.index
        logits, state = model.decode_step(params, last, state)
        token = jnp.where(done, 0, choose(logits, index))
        output = jax.lax.dynamic_update_slice_in_dim(output, token[:, None], index, axis=1)
        return output, token, done | (token == EOS), state

    output = jnp.zeros((done.shape[0], length), jnp.int32)
    carry = (output, output[:, 0], done, state)
    return jax.lax.while_loop(go_on, step, carry)[0]
