"""Beam search with a KV cache."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from prompt_tuning.models.decoder import DecodeState
from prompt_tuning.models.decoding import EOS, is_filler
from prompt_tuning.models.layers import Cache
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.types import Array, Params, UserError


def beam_search(
    model: PromptedT5,
    params: Params,
    bank: Array,
    encoder_tokens: Array,
    prompt_id: Array,
    *,
    beams: int,
    length: int,
    alpha: float,
) -> tuple[Array, Array]:
    """Returns the best sequences that beam search finds, best first, and their scores.

    A score is log p(sequence) / ((5 + len) / 6) ** alpha (Wu et al. 2016, section 7), in nats.
    A sequence finishes with an EOS that is among the `beams` best continuations of its step, or at
    `length` without one. With one beam and alpha 0 this is greedy decoding.

    Args:
        model: The prompted model.
        params: The model's parameters.
        bank: Soft prompts `[N, P, H]`.
        encoder_tokens: `[B, T]`, 0 at padding.
        prompt_id: `[B]`, each example's row of `bank`.
        beams: Sequences kept per example, K.
        length: Tokens to decode at most, EOS included.
        alpha: Exponent of the length penalty, at least 0; above 0 favours longer sequences.

    Returns:
        Tokens `[B, K, length]` int32, 0 after EOS, and scores `[B, K]`: -inf (with tokens 0) where
        fewer than K sequences exist.

    Raises:
        UserError: `beams` is not positive, or `alpha` negative.
    """
    if beams < 1:
        raise UserError(f"beam search: {beams} beams; use at least 1")
    if not alpha >= 0.0:
        raise UserError(f"beam search: alpha is {alpha}; it must be at least 0")
    encoded, mask = model.encode(params, bank, encoder_tokens, prompt_id, None)
    state = model.start_decoding(params, encoded, mask, length)
    filler = is_filler(encoder_tokens)

    def go_on(search: _Search) -> Array:
        # A live score only falls as it grows, so this is the most that a live one can reach.
        bound = _penalized(jnp.max(search.live.scores, axis=1), length, alpha)
        done = filler | (bound <= jnp.min(search.finished.scores, axis=1))
        return (search.state.index < length) & ~jnp.all(done)

    def step(search: _Search) -> _Search:
        return _grow(model, params, search, alpha)

    search = jax.lax.while_loop(go_on, step, _start_search(state, beams, length))
    # What reached the length without EOS competes too; what is shorter is bounded by `finished`.
    live = _Beams(search.live.tokens, _penalized(search.live.scores, search.state.index, alpha))
    best = _best(_join(search.finished, live), beams)[0]
    exists = (best.scores > -jnp.inf) & ~filler[:, None]
    return jnp.where(exists[:, :, None], best.tokens, 0), jnp.where(exists, best.scores, -jnp.inf)


class _Beams(NamedTuple):
    """Sequences `[B, K, L]` and their scores `[B, K]`, -inf where there is none."""

    tokens: Array
    scores: Array


class _Search(NamedTuple):
    """Live sequences with their log probabilities, finished ones with their scores.

    The self-attention caches of `state` are `[B, K, heads, L, head_dim]`; what comes from the
    encoder is not repeated for the beams.
    """

    live: _Beams
    finished: _Beams
    state: DecodeState


def _start_search(state: DecodeState, beams: int, length: int) -> _Search:
    rows = state.encoder_bias.shape[0]
    # Scores have the dtype of the logits, which is that of the attention biases.
    none = jnp.full((rows, beams), -jnp.inf, state.encoder_bias.dtype)
    tokens = jnp.zeros((rows, beams, length), jnp.int32)
    cache = jax.tree.map(lambda x: jnp.repeat(x[:, None], beams, axis=1), state.self_cache)
    return _Search(
        live=_Beams(tokens, none.at[:, 0].set(0.0)),
        finished=_Beams(tokens, none),
        state=state._replace(self_cache=cache),
    )


def _grow(model: PromptedT5, params: Params, search: _Search, alpha: float) -> _Search:
    """Extends every live sequence by one token."""
    live, finished, state = search
    index, beams = state.index, live.scores.shape[1]
    last = jax.lax.dynamic_index_in_dim(live.tokens, jnp.maximum(index - 1, 0), 2, keepdims=False)
    logits, state = _step_beams(model, params, last, state)
    totals = live.scores[:, :, None] + jax.nn.log_softmax(logits, axis=-1)
    # At most one continuation of a beam ends it, so 2K leave K that live on.
    scores, flat = jax.lax.top_k(totals.reshape(totals.shape[0], -1), 2 * beams)
    parents, tokens = flat // logits.shape[-1], flat % logits.shape[-1]
    grown = _pick(live.tokens, parents)
    grown = jax.lax.dynamic_update_slice_in_dim(grown, tokens[:, :, None], index, axis=2)
    ended = tokens == EOS
    among_best = jnp.arange(2 * beams, dtype=jnp.int32)[None, :] < beams
    ends = jnp.where(ended & among_best, _penalized(scores, index + 1, alpha), -jnp.inf)
    finished, _ = _best(_join(finished, _Beams(grown, ends)), beams)
    live, kept = _best(_Beams(grown, jnp.where(ended, -jnp.inf, scores)), beams)
    origin = jnp.take_along_axis(parents, kept, axis=1)
    cache = jax.tree.map(lambda x: _pick(x, origin), state.self_cache)
    return _Search(live, finished, state._replace(self_cache=cache))


def _step_beams(
    model: PromptedT5, params: Params, tokens: Array, state: DecodeState
) -> tuple[Array, DecodeState]:
    """Decodes one token `[B, K]` of every beam; returns logits `[B, K, V]`."""

    def step(tokens: Array, cache: tuple[Cache, ...]) -> tuple[Array, tuple[Cache, ...]]:
        logits, after = model.decode_step(params, tokens, state._replace(self_cache=cache))
        return logits, after.self_cache

    logits, cache = jax.vmap(step, in_axes=1, out_axes=1)(tokens, state.self_cache)
    return logits, state._replace(self_cache=cache, index=state.index + 1)


def _penalized(scores: Array, length: Array | int, alpha: float) -> Array:
    return scores / ((5.0 + jnp.asarray(length, scores.dtype)) / 6.0) ** alpha


def _pick(x: Array, beams: Array) -> Array:
    """Returns the entries `[B, K, ...]` of `x` `[B, M, ...]` at indices `beams` `[B, K]`."""
    return jax.vmap(lambda row, index: row[index])(x, beams)


def _join(a: _Beams, b: _Beams) -> _Beams:
    return _Beams(*(jnp.concatenate(pair, axis=1) for pair in zip(a, b, strict=True)))


def _best(candidates: _Beams, beams: int) -> tuple[_Beams, Array]:
    """Returns the `beams` best, best first, and their indices `[B, K]`."""
    scores, kept = jax.lax.top_k(candidates.scores, beams)
    return _Beams(_pick(candidates.tokens, kept), scores), kept
