"""Decoders answer as what they wrap does."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.beam import beam_search
from prompt_tuning.models.decoding import greedy, sample
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.scoring import rank
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.decoders import Beam, Greedy, Nucleus, Rank
from tests.training import toy

MODEL = PromptedT5(T5(toy.T5_CONFIG), prefix)
RNG = np.random.default_rng(0)
BANK = jnp.asarray(RNG.normal(size=(2, 3, 16)), jnp.float32)
TOKENS = jnp.asarray(RNG.integers(2, 32, (4, 6)), jnp.int32).at[1, 3:].set(0)
PROMPT_ID = jnp.asarray([0, 1, 1, 0])
NUMBER = jnp.asarray([5, 0, 9, 2], jnp.uint32)
LABELS = jnp.asarray([[7, 1, 0], [9, 4, 1], [6, 1, 0]])


@pytest.fixture(scope="module")
def inputs() -> tuple[PromptedT5, Any, jax.Array, jax.Array, jax.Array]:
    return MODEL, toy.backbone().params, BANK, TOKENS, PROMPT_ID


def test_greedy(inputs):
    tokens = Greedy()(*inputs, number=NUMBER, labels=LABELS, length=4)
    np.testing.assert_array_equal(tokens, greedy(*inputs, length=4))


def test_beam_search_gives_its_best_sequence(inputs):
    tokens = Beam(beams=3, alpha=0.6)(*inputs, number=NUMBER, labels=LABELS, length=4)
    best = beam_search(*inputs, beams=3, length=4, alpha=0.6)[0][:, 0]
    np.testing.assert_array_equal(tokens, best)
    assert tokens.shape == (4, 4)


def test_nucleus_sampling_draws_by_seed_and_number(inputs):
    tokens = Nucleus(temperature=2.0, top_p=0.9, seed=3)(
        *inputs, number=NUMBER, labels=LABELS, length=4
    )
    keys = jnp.stack([jax.random.fold_in(jax.random.key(3), n) for n in (5, 0, 9, 2)])
    drawn = sample(*inputs, keys=keys, length=4, temperature=2.0, top_p=0.9)
    np.testing.assert_array_equal(tokens, drawn)
    other = Nucleus(temperature=2.0, top_p=0.9, seed=4)(
        *inputs, number=NUMBER, labels=LABELS, length=4
    )
    assert (tokens != other).any()


def test_rank_gives_the_tokens_of_the_likeliest_label(inputs):
    tokens = Rank()(*inputs, number=NUMBER, labels=LABELS, length=4)
    likeliest = np.argmax(rank(*inputs, labels=LABELS), axis=1)
    np.testing.assert_array_equal(tokens, np.asarray(LABELS)[likeliest])
