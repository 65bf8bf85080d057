"""Beam search against greedy decoding and exhaustive search."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.beam import Beam
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.scoring import log_likelihood
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.prompts.bank import PromptBank, no_prompt
from prompt_tuning.types import UserError
from tests.models.conftest import answer

LENGTH = 3


def sequences(size):
    """Yields every sequence of at most LENGTH tokens below `size`: ended by EOS, or full."""
    for full in itertools.product(range(size), repeat=LENGTH):
        end = full.index(1) + 1 if 1 in full else LENGTH
        if not any(full[end:]):
            yield full, end


def check_all_found(found, scores, log_probs_of, size, alpha):
    """Checks that all existing sequences are found with their scores, best first."""
    expected = {
        tokens: sum(log_probs_of(tokens)[:end]) / ((5 + end) / 6) ** alpha
        for tokens, end in sequences(size)
    }
    found = [tuple(tokens) for tokens in found.tolist()]
    assert len(found) == len(set(found)) and set(found) == set(expected)
    np.testing.assert_allclose(scores, [expected[tokens] for tokens in found], rtol=1e-4)
    assert np.all(np.diff(scores) <= 0)


def markov_inputs(first_tokens):
    tokens = jnp.asarray(first_tokens, jnp.int32)[:, None]
    return {}, no_prompt(1), tokens, jnp.zeros(len(first_tokens), jnp.int32)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_wide_beams_find_every_sequence_in_order(markov, alpha):
    logits = np.random.RandomState(0).standard_normal((4, 4)).astype(np.float32)
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    model = markov(logits)
    for start in (2, 3):

        def log_probs_of(tokens, start=start):
            return [log_probs[a, b] for a, b in itertools.pairwise([start, *tokens])]

        search = Beam(beams=42, alpha=alpha).search
        (found,), (scores,) = answer(search, model, *markov_inputs([start]), length=LENGTH)
        check_all_found(found[:40], scores[:40], log_probs_of, 4, alpha)
        assert np.all(np.isneginf(scores[40:])) and not np.any(found[40:])


def test_wide_beams_find_every_sequence_of_a_t5(golden_maker):
    config = golden_maker.CONFIGS["t5_1_1"]
    config = dataclasses.replace(
        config, vocab_size=4, num_encoder_layers=1, num_decoder_layers=1, name="tiny"
    )
    model = PromptedT5(config, golden_maker.PLACEMENTS["prefix"])
    params = golden_maker.parameters(config, 3)
    bank = PromptBank(jnp.ones((1, 2, 16)))
    tokens, prompt_id = jnp.array([[2, 3, 1], [3, 1, 0]], jnp.int32), jnp.zeros(2, jnp.int32)
    every = np.array([full for full, _ in sequences(4)])

    @jax.jit
    def compute(params, bank):
        encoded = model.encode(params, bank, tokens, prompt_id, None)
        targets = jnp.asarray(np.stack([every, every], axis=1), jnp.int32)
        decode = jax.vmap(lambda y: model.decode(params, encoded, y, None))
        log_probs = jax.nn.log_softmax(decode(targets))
        search = Beam(beams=len(every), alpha=0.6).search
        return log_probs, search(model, params, encoded, length=LENGTH)

    log_probs, (found, scores) = compute(params, bank)
    index = {tuple(full): i for i, full in enumerate(every)}
    for row in range(2):

        def log_probs_of(full, row=row):
            return log_probs[index[full], row, np.arange(LENGTH), np.array(full)]

        check_all_found(found[row], scores[row], log_probs_of, 4, 0.6)


@pytest.fixture(scope="module")
def searched(small):
    @jax.jit
    def compute(params, bank, tokens, prompt_id):
        encoded = small.model.encode(params, bank, tokens, prompt_id, None)
        inputs = (small.model, params, encoded)
        decoded = Greedy()(*inputs, length=6)
        single = Beam(beams=1, alpha=0.0).search(*inputs, length=6)
        many, scores = Beam(beams=4, alpha=0.0).search(*inputs, length=6)
        best = Beam(beams=4, alpha=0.0)(*inputs, length=6)
        likelihoods = [
            log_likelihood(small.model, params, bank, Batch(tokens, targets, prompt_id))
            for targets in (decoded, many[:, 0])
        ]
        return decoded, likelihoods[0], single, best, many, scores, likelihoods[1]

    return compute(*small.inputs)


def test_one_beam_is_greedy_decoding(searched):
    decoded, likelihood, (single, scores), *_ = searched
    np.testing.assert_array_equal(single[:, 0], decoded)
    np.testing.assert_allclose(scores[:, 0], likelihood, rtol=1e-5)


def test_more_beams_find_likelier_sequences_best_first(searched):
    _, likelihood, *_, scores, _ = searched
    assert np.all(scores[:, 0] >= likelihood - 1e-5) and np.any(scores[:, 0] > likelihood + 1e-3)
    assert np.all(np.diff(scores, axis=1) <= 0)


def test_the_score_is_the_log_likelihood_of_the_sequence(searched):
    *_, scores, likelihood = searched
    np.testing.assert_allclose(scores[:, 0], likelihood, rtol=1e-5)


def test_the_answer_is_the_best_sequence(searched):
    *_, best, many, _, _ = searched
    np.testing.assert_array_equal(best, many[:, 0])


def test_search_stops_when_nothing_better_can_come(markov):
    # EOS is certain from 2; from 3 it takes one step more. Fillers do not count.
    logits = np.full((4, 4), -50.0, np.float32)
    logits[2, 1] = logits[3, 2] = logits[0, 0] = logits[1, 1] = 0.0
    model = markov(logits)
    search = Beam(beams=1, alpha=0.0).search
    found, scores = answer(search, model, *markov_inputs([2, 3, 0]), length=40)
    jax.effects_barrier()
    assert sorted(set(model.steps)) == [0, 1]
    np.testing.assert_array_equal(found[:, 0, :3], [[1, 0, 0], [2, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(scores[:, 0], [0.0, 0.0, -np.inf], atol=1e-6)


@pytest.mark.parametrize(
    ("beams", "alpha", "message"), [(0, 0.6, "0 beams"), (2, -1.0, "alpha is -1.0")]
)
def test_impossible_settings_are_refused(beams, alpha, message):
    with pytest.raises(UserError, match=message):
        Beam(beams=beams, alpha=alpha)
