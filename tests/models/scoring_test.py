"""Sequence scores and ranking of labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

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


def test_token_log_probs_of_literal_logits():
    logits = jnp.log(jnp.array([[1.0, 2.0, 5.0], [4.0, 4.0, 8.0]]))
    log_probs, log_z = token_log_probs(logits, jnp.array([2, 0], jnp.int32))
    np.testing.assert_allclose(log_probs, np.log([5 / 8, 4 / 16]), rtol=1e-6)
    np.testing.assert_allclose(log_z, np.log([8.0, 16.0]), rtol=1e-6)
