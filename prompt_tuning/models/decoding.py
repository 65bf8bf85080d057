"""Decoding with a KV cache: greedy search.

Decoding stops when every row has produced its EOS. A row whose input is all padding (it fills up
a batch) counts as finished from the start, and its output is all 0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import DecodeState
from prompt_tuning.types import Array, Params

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
    """Returns the tokens `[B, length]` of greedy decoding: the most likely at every step.

    Args:
        model: The prompted model.
        params: The frozen model's parameters.
        bank: Soft prompts `[N, P, H]`.
        encoder_tokens: `[B, T]`, 0 at padding.
        prompt_id: `[B]`, each example's row of `bank`.
        length: Tokens to decode at most, EOS included.

    Returns:
        int32, 0 after a row's EOS.
    """
    state = _start(model, params, bank, encoder_tokens, prompt_id, length)
    return _decode(model, params, state, _absent(encoder_tokens), length, _most_likely)


def _start(
    model: PromptedT5,
    params: Params,
    bank: Array,
    encoder_tokens: Array,
    prompt_id: Array,
    length: int,
) -> DecodeState:
    encoded, mask = model.encode(params, bank, encoder_tokens, prompt_id, None)
    return model.model.apply({"params": params}, encoded, mask, length, method="start_decoding")


def _most_likely(logits: Array, step: Array) -> Array:
    del step
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def _absent(encoder_tokens: Array) -> Array:
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
        logits, state = model.model.apply({"params": params}, last, state, method="decode_step")
        token = jnp.where(done, 0, choose(logits, index))
        output = jax.lax.dynamic_update_slice_in_dim(output, token[:, None], index, axis=1)
        return output, token, done | (token == EOS), state

    output = jnp.zeros((done.shape[0], length), jnp.int32)
    carry = (output, output[:, 0], done, state)
    return jax.lax.while_loop(go_on, step, carry)[0]
