"""The train step: rows are independent of each other, and a failure stays in its row."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.state import (
    RowSettings,
    RowState,
    TrainBatch,
    init_state,
    stack,
    unstack,
)
from prompt_tuning.training.step import StepConfig, train_step
from tests.training import toy

CONFIG = dataclasses.replace(toy.T5_CONFIG, vocab_size=40)
OPTIMIZER = toy.config().step.optimizer
P, B, MOST_TOKENS, MOST_TARGETS = 4, 6, 12, 5


@functools.cache
def _step(dtype: str, config: StepConfig):
    """Returns the compiled step, shared by tests so that each shape is compiled once."""
    model, _ = _model(dtype)
    return jax.jit(functools.partial(train_step, model=model, config=config))


def _model(dtype: str = "float32") -> tuple[PromptedT5, Any]:
    tokens = np.ones((1, 1), np.int32)
    shapes = jax.eval_shape(T5(CONFIG).init, jax.random.key(0), tokens, tokens)["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape, scale=0.3).astype(dtype), shapes)
    return PromptedT5(T5(dataclasses.replace(CONFIG, dtype=dtype)), prefix), params


def _config(**changes: Any) -> StepConfig:
    settings = {"optimizer": OPTIMIZER, "dropout_rate": 0.1, "z_loss": 1e-4, "microbatches": 1}
    return StepConfig(**{**settings, **changes})


def _row(index: int, step: int, dtype: str = "float32") -> RowState:
    """A row that has done `step` steps, with a second moment of its own."""
    rng = np.random.default_rng(index)
    state = init_state(jnp.asarray(rng.normal(size=(P, CONFIG.emb_dim)), dtype), OPTIMIZER)
    optimizer = jax.tree.map(lambda leaf: leaf + jnp.asarray(step, leaf.dtype), state.optimizer)
    return state._replace(step=jnp.int32(step), optimizer=optimizer)


def _batch(index: int, tokens: int, targets: int) -> TrainBatch:
    """A batch of one row with examples of different lengths, up to `tokens` and `targets`."""
    rng = np.random.default_rng(100 + index)

    def ragged(length: int) -> jax.Array:
        out = np.zeros((1, B, length), np.int32)
        for example in out[0]:
            size = rng.integers(1, length + 1)
            example[: size - 1], example[size - 1] = rng.integers(2, 40, size - 1), 1
        return jnp.asarray(out)

    return TrainBatch(ragged(tokens), ragged(targets))


def _settings(rates: list[float], seeds: list[int]) -> RowSettings:
    return RowSettings(
        jnp.asarray(rates, jnp.float32), jnp.asarray(seeds, jnp.uint32), jnp.ones(len(rates), bool)
    )


def _padded(batch: TrainBatch) -> TrainBatch:
    def pad(x: jax.Array, length: int) -> jax.Array:
        return jnp.pad(x, ((0, 0), (0, 0), (0, length - x.shape[2])))

    return TrainBatch(pad(batch.encoder_tokens, MOST_TOKENS), pad(batch.targets, MOST_TARGETS))


def _together_and_alone(
    count: int, steps: int, dtype: str, config: StepConfig
) -> tuple[list[RowState], list[RowState]]:
    """Trains rows of different lengths, step counts and rates as one bank, and one by one."""
    _, params = _model(dtype)
    step = _step(dtype, config)
    rates = [0.3 / (1 + i) for i in range(count)]
    seeds = [7 * i for i in range(count)]
    rows = [_row(i, step=3 * i, dtype=dtype) for i in range(count)]
    lengths = [(MOST_TOKENS - 5 * (i % 2), MOST_TARGETS - 2 * (i % 2)) for i in range(count)]
    batches = [[_batch(10 * t + i, *lengths[i]) for i in range(count)] for t in range(steps)]
    bank = stack(rows)
    for of_step in batches:
        joined = [jnp.concatenate(parts) for parts in zip(*map(_padded, of_step), strict=True)]
        bank, _ = step(bank, params, TrainBatch(*joined), _settings(rates, seeds))
    alone = []
    for i, row in enumerate(rows):
        state = stack([row])
        for of_step in batches:
            state, _ = step(state, params, of_step[i], _settings([rates[i]], [seeds[i]]))
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


@pytest.mark.parametrize(("count", "dropout_rate"), [(1, 0.0), (3, 0.0), (8, 0.0), (3, 0.1)])
def test_a_row_of_a_bank_equals_the_row_alone_after_one_step(count: int, dropout_rate: float):
    config = _config(dropout_rate=dropout_rate)
    together, alone = _together_and_alone(count, 1, "float32", config)
    assert _largest_difference(together, alone) < 1e-6


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_row_of_a_bank_equals_the_row_alone_after_five_steps_in_float64(count: int):
    with jax.enable_x64(True):
        together, alone = _together_and_alone(count, 5, "float64", _config())
        assert together[0].prompt.dtype == jnp.float64
        assert _largest_difference(together, alone) < 1e-7


def test_microbatches_give_the_gradient_of_the_whole_batch():
    _, params = _model()
    batch, settings = _batch(0, MOST_TOKENS, MOST_TARGETS), _settings([0.3], [0])
    state = stack([_row(0, 2)])
    whole, metrics = _step("float32", _config())(state, params, batch, settings)
    parts, of_parts = _step("float32", _config(microbatches=3))(state, params, batch, settings)
    np.testing.assert_allclose(of_parts.loss, metrics.loss, rtol=1e-6)
    np.testing.assert_allclose(of_parts.gradient_norm, metrics.gradient_norm, rtol=1e-5)
    np.testing.assert_allclose(parts.prompt, whole.prompt, rtol=1e-5)


def test_dropout_depends_on_seed_and_step_alone():
    _, params = _model()
    step = _step("float32", _config(dropout_rate=0.1))
    batch = _batch(0, MOST_TOKENS, MOST_TARGETS)

    def loss(seed: int, done: int) -> float:
        _, metrics = step(stack([_row(0, done)]), params, batch, _settings([0.3], [seed]))
        return float(metrics.loss[0])

    assert loss(1, 2) == loss(1, 2)
    assert len({loss(1, 2), loss(2, 2), loss(1, 3)}) == 3


def test_a_row_that_fails_stops_alone_and_keeps_its_last_good_prompt():
    _, params = _model()
    step = _step("float32", _config())
    rows = [_row(0, 3), _row(1, 6), _row(2, 9)]
    broken = rows[1]._replace(prompt=rows[1].prompt.at[0, 0].set(jnp.inf))
    joined = [
        jnp.concatenate(parts)
        for parts in zip(
            *(_padded(_batch(i, MOST_TOKENS, MOST_TARGETS)) for i in range(3)), strict=True
        )
    ]
    settings = _settings([0.3] * 3, [0, 1, 2])
    healthy, _ = step(stack(rows), params, TrainBatch(*joined), settings)
    after, metrics = step(stack([rows[0], broken, rows[2]]), params, TrainBatch(*joined), settings)
    assert metrics.failed.tolist() == [False, True, False]
    assert after.step.tolist() == [4, 6, 10]
    np.testing.assert_array_equal(after.prompt[1], broken.prompt)
    np.testing.assert_array_equal(after.prompt[0], healthy.prompt[0])
    np.testing.assert_array_equal(after.prompt[2], healthy.prompt[2])
    again, _ = step(after, params, TrainBatch(*joined), settings)
    assert again.step.tolist() == [5, 6, 11]


def test_an_inactive_row_does_not_move():
    _, params = _model()
    batch, settings = _batch(0, MOST_TOKENS, MOST_TARGETS), _settings([0.3], [0])
    state = stack([_row(0, 2)])
    after, _ = _step("float32", _config())(
        state, params, batch, settings._replace(active=jnp.zeros(1, bool))
    )
    for before, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(before, now)
