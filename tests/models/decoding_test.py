"""Greedy decoding and nucleus sampling."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.decoding import Greedy, Nucleus, nucleus
from prompt_tuning.models.prompted import Batch
from prompt_tuning.prompts.bank import no_prompt
from prompt_tuning.types import UserError
from tests.models.conftest import answer


def inputs(first_tokens):
    """Returns `answer(decoder, model, *inputs)` arguments for inputs that start with these."""
    tokens = jnp.asarray(first_tokens, jnp.int32)[:, None]
    return {}, no_prompt(1), tokens, jnp.zeros(len(first_tokens), jnp.int32)


def table(size, moves):
    """Returns logits that move from token to token with near certainty."""
    logits = np.zeros((size, size), np.float32)
    for start, end in moves.items():
        logits[start, end] = 50.0
    return logits


@pytest.mark.parametrize("length", [7, 9])  # fewer tokens than a head is wide, and more
def test_greedy_is_the_argmax_of_the_teacher_forced_logits_step_by_step(small, length: int):
    model, params, bank, batch = small
    assert 7 < model.config.head_dim <= 9

    @jax.jit
    def both(params, bank, tokens, prompt_id):
        decoded = answer(Greedy(), model, params, bank, tokens, prompt_id, length=length)
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
    decoded = answer(Greedy(), model, *inputs([2, 4, 0]), length=50)
    jax.effects_barrier()
    assert sorted(model.steps) == [0, 1]
    np.testing.assert_array_equal(decoded[:, :4], [[3, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    assert decoded.shape == (3, 50) and not np.any(decoded[:, 4:])


def test_greedy_stops_at_the_length(markov):
    model = markov(table(4, {2: 3, 3: 2}))
    np.testing.assert_array_equal(answer(Greedy(), model, *inputs([2]), length=3), [[3, 2, 3]])


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
    draw = Nucleus(temperature=1.0, top_p=0.85, seed=0)
    drawn = answer(draw, model, *inputs([2] * 4000), length=2, number=jnp.arange(4000))
    counts = np.bincount(np.asarray(drawn).ravel(), minlength=4)
    # The nucleus {2, 3} has 0.4 and 0.6; five standard errors of 8,000 draws are 0.027.
    assert counts[:2].tolist() == [0, 0]
    np.testing.assert_allclose(counts[2:] / 8000, [0.4, 0.6], atol=0.027)
    assert not np.array_equal(drawn[:, 0], drawn[:, 1])


def test_temperature_sharpens(markov):
    model = markov(np.tile(np.array([0.0, 0.0, 1.0, 2.0], np.float32), (4, 1)))
    draw = Nucleus(temperature=0.5, top_p=1.0, seed=0)
    drawn = answer(draw, model, *inputs([2] * 2000), length=1, number=jnp.arange(2000))
    expected = np.exp([0.0, 0.0, 2.0, 4.0]) / np.exp([0.0, 0.0, 2.0, 4.0]).sum()
    np.testing.assert_allclose(np.bincount(drawn[:, 0]) / 2000, expected, atol=0.05)


def test_a_sample_depends_on_its_own_number_and_input_and_the_seed(small):
    @jax.jit(static_argnums=0)
    def draw(seed, params, bank, tokens, prompt_id, number):
        decoder = Nucleus(temperature=1.0, top_p=0.95, seed=seed)
        inputs = (params, bank, tokens, prompt_id)
        return answer(decoder, small.model, *inputs, length=6, number=number)

    number = jnp.array([5, 0, 9, 2], jnp.uint32)
    drawn = draw(3, *small.inputs, number)
    params, bank, tokens, prompt_id = small.inputs
    order = jnp.array([2, 0, 3, 1])
    shuffled = draw(3, params, bank, tokens[order], prompt_id[order], number[order])
    np.testing.assert_array_equal(shuffled, drawn[order])
    assert not np.array_equal(draw(3, *small.inputs, number + 1), drawn)
    assert not np.array_equal(draw(4, *small.inputs, number), drawn)


def test_a_draw_is_that_of_the_keys_of_seed_number_and_step(markov):
    logits = np.random.RandomState(0).standard_normal((4, 4)).astype(np.float32)
    draw = Nucleus(temperature=2.0, top_p=1.0, seed=3)
    numbers = [5, 0]
    drawn = answer(draw, markov(logits), *inputs([2, 3]), length=1, number=jnp.array(numbers))
    for row, (start, number) in enumerate(zip([2, 3], numbers, strict=True)):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), number), 0)
        assert drawn[row, 0] == jax.random.categorical(key, logits[start] / 2.0)


def test_sampling_ends_rows_at_eos(markov):
    model = markov(table(4, {2: 3, 3: 1}))
    draw = Nucleus(temperature=1.0, top_p=0.9, seed=0)
    drawn = answer(draw, model, *inputs([2, 3]), length=9, number=jnp.arange(2))
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
def test_sampling_refuses_impossible_settings(temperature, top_p, message):
    with pytest.raises(UserError, match=message):
        Nucleus(temperature=temperature, top_p=top_p, seed=0)
