"""Beam search with a KV cache."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from prompt_tuning.models.decoding import EOS
from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import DecodeState, Encoded
from prompt_tuning.types import Array, Params, UserError


@dataclasses.dataclass(frozen=True)
class Beam:
    """Decodes the best sequence of a beam search.

    Attributes:
        beams: Sequences kept per example, K.
        alpha: Exponent of the length penalty, at least 0; above 0 favors longer sequences.

    Raises:
        UserError: `beams` is not positive, or `alpha` negative.
    """

    beams: int
    alpha: float

    def __post_init__(self):
        if self.beams < 1:
            raise UserError(f"beam search: {self.beams} beams; use at least 1")
        if not self.alpha >= 0.0:
            raise UserError(f"beam search: alpha is {self.alpha}; it must be at least 0")

    def __call__(
        self, model: PromptedModel, params: Params, encoded: Encoded, *, length: int, **_: Any
    ) -> Array:
        """Answers inputs; see `Decoder`."""
        return self.search(model, params, encoded, length=length)[0][:, 0]

    def search(
        self, model: PromptedModel, params: Params, encoded: Encoded, *, length: int
    ) -> tuple[Array, Array]:
        """Returns the sequences found by beam search, best first, and their scores.

        A score is log p(sequence) / ((5 + len) / 6) ** alpha (Wu et al. 2016, section 7), in nats.
        A sequence finishes with an EOS among the K best continuations of a step, or at `length`
        without one. With one beam and alpha 0 this is greedy decoding.

        Args:
            model: The prompted model.
            params: The model's parameters.
            encoded: The inputs.
            length: The maximum number of decoded tokens, EOS included.

        Returns:
            Tokens `[B, K, length]` int32, 0 after EOS, and scores `[B, K]`: -inf (with tokens 0)
            if there are fewer than K sequences.
        """
        beams, alpha, filler = self.beams, self.alpha, encoded.filler

        def go_on(search: _Search) -> Array:
            # A live score only falls as its sequence grows, so this bounds what it can reach.
            bound = _penalized(jnp.max(search.live.scores, axis=1), length, alpha)
            done = filler | (bound <= jnp.min(search.finished.scores, axis=1))
            return (search.state.index < length) & ~jnp.all(done)

        def step(search: _Search) -> _Search:
            return _grow(model, params, search, alpha)

        start = _start_search(model, params, encoded, beams, length)
        live, finished, state = jax.lax.while_loop(go_on, step, start)
        # Live sequences at the full length compete too; shorter ones are below the bound above.
        live = _Beams(live.tokens, _penalized(live.scores, state.index, alpha))
        tokens, scores = _best(_join(finished, live), beams)[0]
        exists = (scores > -jnp.inf) & ~filler[:, None]
        return jnp.where(exists[:, :, None], tokens, 0), jnp.where(exists, scores, -jnp.inf)


class _Beams(NamedTuple):
    """Sequences `[B, K, L]` and their scores `[B, K]`, -inf for sequences that do not exist."""

    tokens: Array
    scores: Array


class _Search(NamedTuple):
    """Live sequences with their log probabilities, and finished ones with their scores.

    The cache of `state` has a beam axis, `[B, K, ...]`; its memory of the input has none, since
    all beams share it.
    """

    live: _Beams
    finished: _Beams
    state: DecodeState


def _start_search(
    model: PromptedModel, params: Params, encoded: Encoded, beams: int, length: int
) -> _Search:
    state = model.start_decoding(params, encoded, length)
    tokens = jnp.zeros((len(encoded.filler), beams, length), jnp.int32)
    logits, _ = jax.eval_shape(model.decode_step, params, tokens[:, 0, 0], state)
    none = jnp.full(tokens.shape[:2], -jnp.inf, logits.dtype)
    cache = jax.tree.map(lambda x: jnp.repeat(x[:, None], beams, axis=1), state.cache)
    return _Search(
        live=_Beams(tokens, none.at[:, 0].set(0.0)),
        finished=_Beams(tokens, none),
        state=state._replace(cache=cache),
    )


def _grow(model: PromptedModel, params: Params, search: _Search, alpha: float) -> _Search:
    """Extends every live sequence by one token."""
    live, finished, state = search
    index, beams = state.index, live.scores.shape[1]
    last = jax.lax.dynamic_index_in_dim(live.tokens, jnp.maximum(index - 1, 0), 2, keepdims=False)
    logits, state = _step_beams(model, params, last, state)
    totals = live.scores[:, :, None] + jax.nn.log_softmax(logits, axis=-1)
    # At most one continuation of each beam is EOS, so of 2K at least K stay alive.
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
    cache = jax.tree.map(lambda x: _pick(x, origin), state.cache)
    return _Search(live, finished, state._replace(cache=cache))


def _step_beams(
    model: PromptedModel, params: Params, tokens: Array, state: DecodeState
) -> tuple[Array, DecodeState]:
    """Decodes one token `[B, K]` of every beam; returns logits `[B, K, V]`."""

    def step(tokens: Array, cache: Any) -> tuple[Array, Any]:
        logits, after = model.decode_step(params, tokens, state._replace(cache=cache))
        return logits, after.cache

    logits, cache = jax.vmap(step, in_axes=1, out_axes=1)(tokens, state.cache)
    return logits, state._replace(cache=cache, index=state.index + 1)


def _penalized(scores: Array, length: Array | int, alpha: float) -> Array:
    return scores / ((5.0 + jnp.asarray(length, scores.dtype)) / 6.0) ** alpha


def _pick(x: Array, beams: Array) -> Array:
    """Returns the entries `[B, K, ...]` of `x` `[B, M, ...]` at indices `beams` `[B, K]`."""
    return jax.vmap(lambda row, index: row[index])(x, beams)


def _join(a: _Beams, b: _Beams) -> _Beams:
    return _Beams(*(jnp.concatenate(pair, axis=1) for pair in zip(a, b, strict=True)))


def _best(candidates: _Beams, beams: int) -> tuple[_Beams, Array]:
    """Returns the best `beams` candidates, best first, and their indices `[B, K]`."""
    scores, kept = jax.lax.top_k(candidates.scores, beams)
    return _Beams(_pick(candidates.tokens, kept), scores), kept
