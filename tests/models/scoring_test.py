"""Sequence scores and ranking of labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.prompted import (
    Batch,
    Encoded,
    sequence_log_probs,
    token_log_probs,
)
from prompt_tuning.models.scoring import Rank, log_likelihood
from prompt_tuning.prompts.bank import PromptBank
from tests.models.conftest import answer

LABELS = jnp.array([[5, 1, 0, 0], [7, 8, 9, 1], [1, 0, 0, 0]], jnp.int32)


def test_ranking_equals_the_log_likelihood_of_each_label(small):
    @jax.jit
    def both(params, bank, tokens, prompt_id):
        encoded = small.model.encode(params, bank, tokens, prompt_id, None)
        scores = Rank().scores(small.model, params, encoded, LABELS)
        return scores, Rank()(small.model, params, encoded, labels=LABELS)

    scores, answers = both(*small.inputs)
    params, bank, tokens, prompt_id = small.inputs

    @jax.jit
    def score(label):
        batch = Batch(tokens, jnp.tile(label, (4, 1)), prompt_id)
        return log_likelihood(small.model, params, bank, batch)

    assert scores.shape == (4, 3)
    np.testing.assert_allclose(scores, np.stack([score(x) for x in LABELS], axis=1), rtol=1e-5)
    np.testing.assert_array_equal(answers, LABELS[scores.argmax(axis=1)])


class Fixed:
    """A model whose logits do not depend on the input: `log(odds)` at each target position."""

    def __init__(self, odds):
        self.logits = jnp.log(jnp.asarray(odds))

    def log_likelihood(self, params, encoded, targets):
        del params, encoded
        logits = jnp.broadcast_to(self.logits, (*targets.shape, self.logits.shape[-1]))
        return sequence_log_probs(logits, targets)


def test_labels_of_unequal_length_are_ranked_by_their_own_tokens_alone():
    # By hand, with probabilities over (padding, EOS, 2, 3):
    #   first position 1/8, 1/8, 4/8, 2/8; second 1/8, 4/8, 1/8, 2/8; third 1/16, 13/16, 1/16, 1/16.
    # "2 EOS" is 1/2 * 1/2 = 1/4; "3 3 EOS" is 1/4 * 1/4 * 13/16 = 13/256; "EOS" is 1/8.
    # If padding counted, they would be 1/64, 13/256 and 1/1024, and "3 3" the likeliest.
    model = Fixed([[1, 1, 4, 2], [1, 4, 1, 2], [1, 13, 1, 1]])
    labels = jnp.array([[2, 1, 0], [3, 3, 1], [1, 0, 0]], jnp.int32)
    encoded = Encoded(jnp.zeros((2, 1, 1)), jnp.ones((2, 1), bool), jnp.zeros(2, bool))
    scores = Rank().scores(model, {}, encoded, labels)  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(np.exp(scores), [[1 / 4, 13 / 256, 1 / 8]] * 2, rtol=1e-5)
    answers = Rank()(model, {}, encoded, labels=labels)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(answers, [[2, 1, 0]] * 2)


def flops(function, *arguments):
    """Returns the operations of a compiled program."""
    costs = jax.jit(function).lower(*arguments).compile().cost_analysis()
    assert costs is not None
    return costs["flops"]


def test_inputs_are_encoded_once_for_all_labels(small):
    def rank(*inputs):
        *inputs, labels = inputs
        params, encoded = inputs[0], small.model.encode(*inputs, None)
        return Rank().scores(small.model, params, encoded, labels)

    rankings = [flops(rank, *small.inputs, jnp.full((k, 3), 7, jnp.int32)) for k in (2, 4, 6)]
    encoding = flops(small.model.encode, *small.inputs, None)
    of_two = rankings[1] - rankings[0]
    assert rankings[2] - rankings[1] == pytest.approx(of_two, rel=0.01)
    assert rankings[0] - of_two == pytest.approx(encoding, rel=0.01)


@pytest.mark.parametrize("decoder", [Greedy(), Rank()])
def test_mixed_prompts_cost_no_more_than_one(small, decoder):
    params, bank, tokens, prompt_id = small.inputs
    labels = jnp.array([[5, 1], [7, 1]], jnp.int32)

    def run(*inputs):
        return answer(decoder, small.model, *inputs, length=4, labels=labels)

    many, one = PromptBank(jnp.concatenate([bank.prompts] * 6)), PromptBank(bank.prompts[:1])
    alone = flops(run, params, one, tokens, jnp.zeros_like(prompt_id))
    assert flops(run, params, many, tokens, prompt_id) == alone


def test_token_log_probs_of_literal_logits():
    logits = jnp.log(jnp.array([[1.0, 2.0, 5.0], [4.0, 4.0, 8.0]]))
    log_probs, log_z = token_log_probs(logits, jnp.array([2, 0], jnp.int32))
    np.testing.assert_allclose(log_probs, np.log([5 / 8, 4 / 16]), rtol=1e-6)
    np.testing.assert_allclose(log_z, np.log([8.0, 16.0]), rtol=1e-6)
