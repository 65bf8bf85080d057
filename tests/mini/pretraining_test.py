"""Tests of the pre-training step and mixture."""

import dataclasses
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.mini import pretraining
from prompt_tuning.mini.corpus import Exercise
from prompt_tuning.mini.draw import Draw
from tests.training import toy

CONFIG = dataclasses.replace(toy.T5_CONFIG, vocab_size=24, num_heads=6, head_dim=4)
RECIPE = pretraining.Recipe(
    seed=0,
    batch_size=4,
    learning_rate=1e-2,
    final_learning_rate=1e-3,
    warmup_steps=1,
    second_moment_decay=0.98,
    clip_norm=1.0,
    embedding_update_scale=5.0,
    mastered=0.9,
    least=0,
    replay=0.2,
)


def test_two_heads_start_by_comparing_words():
    params = pretraining.initial_params(CONFIG, 0)
    attention = params["encoder"]["layers_0"]["attention"]
    query, key = attention["query"]["kernel"], attention["key"]["kernel"]
    np.testing.assert_array_equal(query[:, :8], 0.5 * key[:, :8])
    assert not np.allclose(query[:, 8:], 0.5 * key[:, 8:])


def test_other_heads_start_by_looking_at_neighbours():
    bias = pretraining.initial_params(CONFIG, 0)["encoder"]["relpos_bias"]["rel_embedding"]
    assert bias[:2, 0].tolist() == [-8.0, -8.0]
    assert (int(bias[2].argmax()), int(bias[3].argmax())) == (1, 17)
    assert np.flatnonzero(bias[5] > 0).tolist() == [18, 19, 20]


@jax.numpy_dtype_promotion("standard")  # Adam's bias correction mixes types inside optax
def test_the_loss_falls_in_twenty_steps():
    params = pretraining.initial_params(CONFIG, 1)
    state = pretraining.optimizer(RECIPE).init(params)
    step = pretraining.step_function(CONFIG, RECIPE)
    rows = np.arange(3, 23, dtype=np.int32).reshape(4, 5)
    batch = pretraining.Batch(jnp.asarray(rows), jnp.asarray(rows[:, :2]))
    losses = []
    for _ in range(20):
        params, state, loss, correct = step(params, state, batch, jnp.float32(1e-2))
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]
    assert correct.shape == (4,)


@jax.numpy_dtype_promotion("standard")
def test_the_embedding_moves_by_a_multiple():
    params = pretraining.initial_params(CONFIG, 0)
    gradient = jax.tree.map(jnp.ones_like, params)
    plain = pretraining.optimizer(dataclasses.replace(RECIPE, embedding_update_scale=1.0))
    scaled = pretraining.optimizer(RECIPE)
    one = plain.update(gradient, plain.init(params), params)[0]
    five = scaled.update(gradient, scaled.init(params), params)[0]
    ratio = five["token_embedder"]["embedding"] / one["token_embedder"]["embedding"]  # type: ignore[index]
    np.testing.assert_allclose(ratio, 5.0, rtol=1e-6)


def mixture(batch_size):
    draw = Draw("mixture")
    made = {"kind": ([1] * 10, [1, 1]), "story": ([1] * 20, [1] * 7), "cloze": ([1] * 30, [1, 1])}
    return pretraining.Mixture(
        lambda exercise: made[exercise.skill], draw.uniform, batch_size, replay=0.2
    )


def test_batches_have_the_smallest_shape_that_fits():
    mixed = mixture(2)
    mixed.change([Exercise(skill, 1) for skill in ("kind", "story", "cloze")], [])
    shapes = set()
    for _ in range(30):
        exercises, batch = mixed.batch()
        shapes.add((exercises[0].skill, batch.inputs.shape, batch.targets.shape))
    assert shapes == {
        ("kind", (2, 16), (2, 2)),
        ("story", (2, 24), (2, 10)),
        ("cloze", (2, 32), (2, 2)),
    }


def test_what_is_not_mastered_is_drawn_more_often():
    mixed = mixture(1)
    known, unknown = Exercise("kind", 1), Exercise("cloze", 1)
    mixed.change([known, unknown], [])
    mixed.accuracy[known] = 1.0
    counts = Counter(mixed.batch()[0][0].skill for _ in range(700))
    assert counts["cloze"] / counts["kind"] == pytest.approx(8.5, rel=0.35)


def test_running_accuracy_moves_by_a_hundredth():
    mixed = mixture(2)
    exercise = Exercise("kind", 1)
    mixed.change([exercise], [])
    mixed.note([exercise, exercise], np.array([True, False]))
    assert mixed.accuracy[exercise] == pytest.approx(0.01 * 0.99)


def test_the_rate_falls_by_a_cosine():
    rates = [pretraining.decayed(RECIPE, done) for done in (0.0, 0.5, 1.0, 2.0)]
    assert rates == pytest.approx([1e-2, 5.5e-3, 1e-3, 1e-3])
