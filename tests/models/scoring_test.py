"""Sequence scores and ranking of labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.decoding import greedy
from prompt_tuning.models.prompted import Batch, token_log_probs
from prompt_tuning.models.scoring import log_likelihood, rank


def test_ranking_equals_the_log_likelihood_of_each_label(small):
    labels = jnp.array([[5, 1, 0, 0], [7, 8, 9, 1], [1, 0, 0, 0]], jnp.int32)
    ranked = jax.jit(functools.partial(rank, small.model))(*small.inputs, labels)
    params, bank, tokens, prompt_id = small.inputs

    @jax.jit
    def score(label):
        batch = Batch(tokens, jnp.tile(label, (4, 1)), prompt_id)
        return log_likelihood(small.model, params, bank, batch)

    assert ranked.shape == (4, 3)
    np.testing.assert_allclose(ranked, np.stack([score(x) for x in labels], axis=1), rtol=1e-5)


def flops(function, *arguments):
    """Returns the operations of a compiled program."""
    costs = jax.jit(function).lower(*arguments).compile().cost_analysis()
    assert costs is not None
    return costs["flops"]


def test_inputs_are_encoded_once_for_all_labels(small):
    params, bank, tokens, prompt_id = small.inputs
    rankings = [
        flops(functools.partial(rank, small.model), *small.inputs, jnp.full((k, 3), 7, jnp.int32))
        for k in (2, 4, 6)
    ]
    encoding = flops(small.model.encode, params, bank, tokens, prompt_id, None)
    of_two = rankings[1] - rankings[0]
    assert rankings[2] - rankings[1] == pytest.approx(of_two, rel=0.01)
    assert rankings[0] - of_two == pytest.approx(encoding, rel=0.01)


@pytest.mark.parametrize("decode", [functools.partial(greedy, length=4), rank])
def test_mixed_prompts_cost_no_more_than_one(small, decode):
    params, bank, tokens, prompt_id = small.inputs
    labels = () if decode is not rank else (jnp.array([[5, 1], [7, 1]], jnp.int32),)
    run = functools.partial(decode, small.model)
    many = jnp.concatenate([bank] * 6)
    one = flops(run, params, bank[:1], tokens, jnp.zeros_like(prompt_id), *labels)
    assert flops(run, params, many, tokens, prompt_id, *labels) == one


def test_token_log_probs_of_literal_logits():
    logits = jnp.log(jnp.array([[1.0, 2.0, 5.0], [4.0, 4.0, 8.0]]))
    log_probs, log_z = token_log_probs(logits, jnp.array([2, 0], jnp.int32))
    np.testing.assert_allclose(log_probs, np.log([5 / 8, 4 / 16]), rtol=1e-6)
    np.testing.assert_allclose(log_z, np.log([8.0, 16.0]), rtol=1e-6)
