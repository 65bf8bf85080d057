"""Decoders answer as what they wrap does."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.models.beam import beam_search
from prompt_tuning.models.decoding import greedy, sample
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.scoring import rank
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.decoders import Beam, Decoder, Greedy, Nucleus, Rank
from tests.training import toy

MODEL = PromptedT5(T5(toy.T5_CONFIG), prefix)
RNG = np.random.default_rng(0)
BANK = jnp.asarray(RNG.normal(size=(2, 3, 16)), jnp.float32)
TOKENS = jnp.asarray(RNG.integers(2, 32, (4, 6)), jnp.int32).at[1, 3:].set(0)
PROMPT_ID = jnp.asarray([0, 1, 1, 0])
NUMBER = jnp.asarray([5, 0, 9, 2], jnp.uint32)
LABELS = jnp.asarray([[7, 1, 0], [9, 4, 1], [6, 1, 0]])
ASKED = {"number": NUMBER, "labels": LABELS, "length": 4}


def _both(decoder: Decoder, wrapped: Callable[..., Any]) -> Any:
    """Returns the tokens of a decoder, and what it wraps gives for the same inputs."""

    @jax.jit
    def run(params, bank, tokens, prompt_id):
        inputs = (MODEL, params, bank, tokens, prompt_id)
        return decoder(*inputs, **ASKED), wrapped(*inputs)

    return jax.device_get(run(toy.params(), BANK, TOKENS, PROMPT_ID))


def test_greedy():
    np.testing.assert_array_equal(*_both(Greedy(), functools.partial(greedy, length=4)))


def test_beam_search_gives_its_best_sequence():
    search = functools.partial(beam_search, beams=3, length=4, alpha=0.6)
    tokens, (sequences, _) = _both(Beam(beams=3, alpha=0.6), search)
    np.testing.assert_array_equal(tokens, sequences[:, 0])
    assert tokens.shape == (4, 4)


def test_nucleus_sampling_draws_by_seed_and_number():
    keys = jnp.stack([jax.random.fold_in(jax.random.key(3), n) for n in (5, 0, 9, 2)])
    draw = functools.partial(sample, keys=keys, length=4, temperature=2.0, top_p=0.9)
    tokens, drawn = _both(Nucleus(temperature=2.0, top_p=0.9, seed=3), draw)
    np.testing.assert_array_equal(tokens, drawn)
    tokens, drawn = _both(Nucleus(temperature=2.0, top_p=0.9, seed=4), draw)
    assert (tokens != drawn).any()


def test_rank_gives_the_tokens_of_the_likeliest_label():
    tokens, scores = _both(Rank(), functools.partial(rank, labels=LABELS))
    np.testing.assert_array_equal(tokens, np.asarray(LABELS)[scores.argmax(axis=1)])
