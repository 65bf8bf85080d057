"""The train step: rows are independent of each other, and a failure stays in its row."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.models.family import PromptedModel, prompted
from prompt_tuning.models.t5.network import T5
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.step import RowState, StepConfig, init_state
from tests.training import toy
from tests.training.steps import settings, stack, take_step, unstack

CONFIG = dataclasses.replace(toy.T5_CONFIG, vocab_size=40)
OPTIMIZER = toy.config().step.optimizer
P, B, MOST_TOKENS, MOST_TARGETS = 4, 6, 12, 5


def _model(dtype: str = "float32") -> tuple[PromptedModel, Any]:
    tokens = np.ones((1, 1), np.int32)
    shapes = jax.eval_shape(T5(CONFIG).init, jax.random.key(0), tokens, tokens)["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape, scale=0.3).astype(dtype), shapes)
    return prompted(dataclasses.replace(CONFIG, dtype=dtype), prefix), params


def _config(**changes: Any) -> StepConfig:
    values = {"optimizer": OPTIMIZER, "dropout_rate": 0.1, "z_loss": 1e-4}
    return StepConfig(**{**values, **changes})


def _row(index: int, step: int, dtype: str = "float32") -> RowState:
    """A row that has done `step` steps, with a second moment of its own."""
    rng = np.random.default_rng(index)
    state = init_state(jnp.asarray(rng.normal(size=(P, CONFIG.emb_dim)), dtype), OPTIMIZER)
    optimizer = jax.tree.map(lambda leaf: leaf + jnp.asarray(step, leaf.dtype), state.optimizer)
    return state._replace(step=jnp.int32(step), optimizer=optimizer)


def _batch(index: int, tokens: int, targets: int) -> HostBatch:
    """A batch with examples of different lengths, up to `tokens` and `targets`."""
    rng = np.random.default_rng(100 + index)

    def ragged(length: int) -> np.ndarray:
        out = np.zeros((B, length), np.int32)
        for example in out:
            size = rng.integers(1, length + 1)
            example[: size - 1], example[size - 1] = rng.integers(2, 40, size - 1), 1
        return out

    return HostBatch(ragged(tokens), ragged(targets), np.zeros(B, np.int32))


def _together_and_alone(
    count: int, steps: int, dtype: str, config: StepConfig
) -> tuple[list[RowState], list[RowState]]:
    """Trains rows of different lengths, step counts and rates as one bank, and one by one."""
    model, params = _model(dtype)
    rates = [0.3 / (1 + i) for i in range(count)]
    seeds = [7 * i for i in range(count)]
    rows = [_row(i, step=3 * i, dtype=dtype) for i in range(count)]
    lengths = [(MOST_TOKENS - 5 * (i % 2), MOST_TARGETS - 2 * (i % 2)) for i in range(count)]
    batches = [[_batch(10 * t + i, *lengths[i]) for i in range(count)] for t in range(steps)]
    bank = stack(rows)
    for of_step in batches:
        by_slot = dict(enumerate(of_step))
        of_rows = settings(rates, seeds)
        bank, _ = take_step(model, config, params, bank, by_slot, of_rows, size=4)
    alone = []
    for i, row in enumerate(rows):
        state = stack([row])
        for of_step in batches:
            of_row = settings([rates[i]], [seeds[i]])
            state, _ = take_step(model, config, params, state, {0: of_step[i]}, of_row, size=B)
        alone.append(unstack(state, 0))
    return [unstack(bank, i) for i in range(count)], alone


def _largest_difference(together: list[RowState], alone: list[RowState]) -> float:
    differences = [
        float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b)))
        for one, other in zip(together, alone, strict=True)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
        if a.dtype != bool
    ]
    return max(differences)


@pytest.mark.parametrize(("count", "dropout_rate"), [(3, 0.0), (8, 0.0), (3, 0.1)])
def test_a_row_of_a_bank_equals_the_row_alone_after_one_step(count: int, dropout_rate: float):
    config = _config(dropout_rate=dropout_rate)
    together, alone = _together_and_alone(count, 1, "float32", config)
    assert _largest_difference(together, alone) < 1e-6


@pytest.mark.parametrize("count", [3, 8])
def test_a_row_of_a_bank_equals_the_row_alone_after_five_steps_in_float64(count: int):
    with jax.enable_x64(True):
        together, alone = _together_and_alone(count, 5, "float64", _config())
        assert together[0].trainable.dtype == jnp.float64
        assert _largest_difference(together, alone) < 1e-7


@pytest.mark.parametrize("size", [1, 2, 4])
def test_microbatches_give_the_gradient_of_the_whole_batch(size: int):
    def step(size: int) -> tuple[RowState, Any]:
        return _one_row(_batch(0, MOST_TOKENS, MOST_TARGETS), size=size)

    (whole, metrics), (parts, of_parts) = step(B), step(size)
    np.testing.assert_allclose(of_parts.loss, metrics.loss, rtol=1e-6)
    np.testing.assert_allclose(of_parts.gradient_norm, metrics.gradient_norm, rtol=1e-5)
    np.testing.assert_allclose(parts.trainable, whole.trainable, rtol=1e-5)
    assert of_parts.tokens.tolist() == metrics.tokens.tolist()


def test_rows_that_share_no_microbatch_move_to_the_last_bit_as_alone():
    model, params = _model()
    rows, batches = [_row(i, 3 * i) for i in range(3)], [_batch(i, 9, 3) for i in range(3)]
    of_rows = settings([0.3] * 3, [0, 1, 2])

    def prompts(chosen: list[int]) -> dict[int, np.ndarray]:
        state, _ = take_step(
            *(model, _config(), params, stack(rows), {i: batches[i] for i in chosen}, of_rows),
            size=2,
            mixed=False,
        )
        return {i: np.asarray(state.trainable[i]) for i in chosen}

    together = prompts([0, 1, 2])
    for i in range(3):
        np.testing.assert_array_equal(together[i], prompts([i])[i])


def _one_row(batch: HostBatch, *, size: int = B, seed: int = 0, done: int = 2):
    """Returns the row and its metrics after one step."""
    model, params = _model()
    state = stack([_row(0, done)])
    of_row = settings([0.3], [seed])
    return take_step(model, _config(), params, state, {0: batch}, of_row, size=size)


def test_dropout_depends_on_seed_and_step_alone():
    batch = _batch(0, MOST_TOKENS, MOST_TARGETS)

    def loss(seed: int, done: int) -> float:
        return float(_one_row(batch, seed=seed, done=done)[1].loss[0])

    assert loss(1, 2) == loss(1, 2)
    assert len({loss(1, 2), loss(2, 2), loss(1, 3)}) == 3


def test_a_row_that_fails_stops_alone_and_keeps_its_last_good_prompt():
    model, params = _model()
    rows = [_row(0, 3), _row(1, 6), _row(2, 9)]
    broken = rows[1]._replace(trainable=rows[1].trainable.at[0, 0].set(jnp.inf))
    batches = {i: _batch(i, MOST_TOKENS, MOST_TARGETS) for i in range(3)}
    of_rows = settings([0.3] * 3, [0, 1, 2])

    def step(state: RowState) -> tuple[RowState, Any]:
        return take_step(model, _config(), params, state, batches, of_rows, size=4)

    healthy, _ = step(stack(rows))
    after, metrics = step(stack([rows[0], broken, rows[2]]))
    assert metrics.failed.tolist() == [False, True, False]
    assert after.step.tolist() == [4, 6, 10]
    np.testing.assert_array_equal(after.trainable[1], broken.trainable)
    np.testing.assert_array_equal(after.trainable[0], healthy.trainable[0])
    np.testing.assert_array_equal(after.trainable[2], healthy.trainable[2])
    again, _ = step(after)
    assert again.step.tolist() == [5, 6, 11]


def test_an_inactive_row_does_not_move():
    model, params = _model()
    state, batch = stack([_row(0, 2)]), _batch(0, MOST_TOKENS, MOST_TARGETS)
    inactive = settings([0.3], [0])._replace(active=jnp.zeros(1, bool))
    after, _ = take_step(model, _config(), params, state, {0: batch}, inactive, size=B)
    for before, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(before, now)
