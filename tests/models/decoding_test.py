"""Greedy decoding and nucleus sampling."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.decoding import greedy, nucleus, sample
from prompt_tuning.models.prompted import Batch
from prompt_tuning.types import UserError

ONE = jnp.zeros(1, jnp.int32)


def inputs(first_tokens):
    """Returns `decode(model, *inputs)` arguments for inputs that start with these tokens."""
    tokens = jnp.asarray(first_tokens, jnp.int32)[:, None]
    return {}, jnp.zeros((1, 1, 1)), tokens, jnp.zeros(len(first_tokens), jnp.int32)


def table(size, moves):
    """Returns logits that move from token to token with near certainty."""
    logits = np.zeros((size, size), np.float32)
    for start, end in moves.items():
        logits[start, end] = 50.0
    return logits


@pytest.mark.parametrize("length", [7, 9])  # fewer tokens than a head is wide, and more
def test_greedy_is_the_argmax_of_the_teacher_forced_logits_step_by_step(small, length: int):
    model, params, bank, batch = small
    assert 7 < model.model.config.head_dim <= 9

    @jax.jit
    def both(params, bank, tokens, prompt_id):
        decoded = greedy(model, params, bank, tokens, prompt_id, length=length)
        logits = model.logits(params, bank, Batch(tokens, decoded, prompt_id), None)
        return decoded, jnp.argmax(logits, axis=-1)

    # The first decoded tokens of the last row are cut off by turning it into a filler.
    tokens = batch.encoder_tokens.at[3].set(0)
    decoded, expected = (np.asarray(x) for x in both(params, bank, tokens, batch.prompt_id))
    ended = np.cumsum(decoded == 1, axis=1) - (decoded == 1) > 0
    ended[3] = True
    np.testing.assert_array_equal(decoded, np.where(ended, 0, expected))
    assert len({tuple(row) for row in decoded[:3]}) == 3


def test_greedy_stops_when_every_row_is_done(markov):
    # 2 -> 3 -> EOS and 4 -> EOS; the filler never ends by itself.
    model = markov(table(5, {2: 3, 3: 1, 4: 1, 0: 2}))
    decoded = greedy(model, *inputs([2, 4, 0]), length=50)
    jax.effects_barrier()
    assert sorted(model.steps) == [0, 1]
    np.testing.assert_array_equal(decoded[:, :4], [[3, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    assert decoded.shape == (3, 50) and not np.any(decoded[:, 4:])


def test_greedy_stops_at_the_length(markov):
    model = markov(table(4, {2: 3, 3: 2}))
    np.testing.assert_array_equal(greedy(model, *inputs([2]), length=3), [[3, 2, 3]])


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p():
    logits = jnp.log(jnp.array([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]]))

    def kept(top_p):
        return np.isfinite(nucleus(logits, top_p)).astype(int).tolist()

    assert kept(0.5) == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert kept(0.7) == [[0, 1, 0, 1], [1, 0, 0, 0]]
    assert kept(0.8) == [[0, 1, 1, 1], [1, 0, 0, 0]]
    assert kept(1.0) == [[1, 1, 1, 1], [1, 1, 1, 1]]


def test_the_nucleus_leaves_the_logits_inside_as_they_are():
    logits = jnp.array([2.0, 0.0, 1.0])
    np.testing.assert_array_equal(nucleus(logits, 0.9), [2.0, -np.inf, 1.0])


def test_samples_have_the_frequencies_of_the_nucleus(markov):
    probabilities = np.array([1e-9, 0.1, 0.36, 0.54])
    model = markov(np.tile(np.log(probabilities), (4, 1)).astype(np.float32))
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = sample(model, *inputs([2] * 4000), keys, length=2, temperature=1.0, top_p=0.85)
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=4)
    # The nucleus {2, 3} has 0.4 and 0.6; five standard errors of 8,000 draws are 0.027.
    assert counts[:2].tolist() == [0, 0]
    np.testing.assert_allclose(counts[2:] / 8000, [0.4, 0.6], atol=0.027)
    assert not np.array_equal(drawn[:, 0], drawn[:, 1])


def test_temperature_sharpens(markov):
    model = markov(np.tile(np.array([0.0, 0.0, 1.0, 2.0], np.float32), (4, 1)))
    keys = jax.random.split(jax.random.key(0), 2000)
    drawn = sample(model, *inputs([2] * 2000), keys, length=1, temperature=0.5, top_p=1.0)
    expected = np.exp([0.0, 0.0, 2.0, 4.0]) / np.exp([0.0, 0.0, 2.0, 4.0]).sum()
    np.testing.assert_allclose(np.bincount(drawn[:, 0]) / 2000, expected, atol=0.05)


def test_a_sample_depends_on_its_own_key_and_input_alone(small):
    draw = jax.jit(functools.partial(sample, small.model, length=6, temperature=1.0, top_p=0.95))
    keys = jax.random.split(jax.random.key(5), 4)
    drawn = draw(*small.inputs, keys)
    params, bank, tokens, prompt_id = small.inputs
    order = jnp.array([2, 0, 3, 1])
    shuffled = draw(params, bank, tokens[order], prompt_id[order], keys[order])
    np.testing.assert_array_equal(shuffled, drawn[order])
    other = draw(*small.inputs, jax.random.split(jax.random.key(6), 4))
    assert not np.array_equal(other, drawn)


def test_sampling_ends_rows_at_eos(markov):
    model = markov(table(4, {2: 3, 3: 1}))
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = sample(model, *inputs([2, 3]), keys, length=9, temperature=1.0, top_p=0.9)
    jax.effects_barrier()
    assert len(model.steps) == 2
    np.testing.assert_array_equal(drawn[:, :3], [[3, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("temperature", "top_p", "message"),
    [
        (0.0, 0.9, "temperature is 0.0; it must be above 0"),
        (1.0, 0.0, "top_p is 0.0; it must be above 0 and at most 1"),
        (1.0, 1.5, "top_p is 1.5"),
    ],
)
def test_sampling_refuses_impossible_settings(markov, temperature, top_p, message):
    keys = jax.random.split(jax.random.key(0), 1)
    with pytest.raises(UserError, match=message):
        sample(
            markov(table(4, {})),
            *inputs([2]),
            keys,
            length=2,
            temperature=temperature,
            top_p=top_p,
        )
