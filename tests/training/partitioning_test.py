"""Layouts: a batch cut over two devices is the batch on one."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.decoders import Greedy
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.state import RowSettings, TrainBatch, init_state, stack
from prompt_tuning.training.step import train_step
from prompt_tuning.types import UserError
from tests.training import toy

MODEL = PromptedT5(T5(toy.T5_CONFIG), prefix)


def _layout(devices: int) -> Layout:
    return Layout(f"over {devices}", Mesh(np.asarray(jax.devices()[:devices]), ("examples",)))


def _batch() -> TrainBatch:
    rng = np.random.default_rng(0)
    tokens = rng.integers(2, 32, (2, 4, 8), np.int32)
    tokens[0, 1, 3:] = 0
    return TrainBatch(tokens, rng.integers(2, 32, (2, 4, 2), np.int32))  # pyright: ignore


def _step_on(layout: Layout):
    """Returns two rows and their metrics after one step with dropout on a layout."""
    config = dataclasses.replace(toy.config().step, dropout_rate=0.1)
    rng = np.random.default_rng(1)
    prompts = [jnp.asarray(rng.normal(size=(3, 16)), jnp.float32) for _ in range(2)]
    state = layout.put(stack([init_state(prompt, config.optimizer) for prompt in prompts]))
    settings = RowSettings(np.float32([0.3, 0.1]), np.uint32([0, 1]), np.ones(2, bool))  # pyright: ignore
    step = jax.jit(functools.partial(train_step, model=MODEL, config=config))
    return step(
        state,
        layout.put(toy.params()),
        layout.put_batch(_batch(), axis=1),
        layout.put(settings),
    )


def test_a_step_over_two_devices_is_the_step_on_one():
    (one, metrics_of_one), (two, metrics_of_two) = _step_on(_layout(1)), _step_on(_layout(2))
    assert len(two.prompt.devices()) == 2
    np.testing.assert_allclose(two.prompt, one.prompt, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(metrics_of_two.loss, metrics_of_one.loss, rtol=1e-6)


def test_a_batch_is_cut_along_its_examples_and_the_rest_is_whole():
    layout = _layout(2)
    cut = layout.put_batch(_batch().targets, axis=1)
    assert {shard.data.shape for shard in cut.addressable_shards} == {(2, 2, 2)}
    whole = layout.put(_batch().targets)
    assert {shard.data.shape for shard in whole.addressable_shards} == {(2, 4, 2)}


def test_a_batch_that_cannot_be_cut_is_refused():
    layout = _layout(2)
    with pytest.raises(UserError, match="a batch of 5 examples cannot be cut over 2 devices"):
        layout.check_batch(5)
    with pytest.raises(UserError, match="a batch of 3 examples"):
        Evaluator(MODEL, {}, [layout], toy.Digits(), Greedy(), batch_size=3, shapes=[(8, 2)])  # pyright: ignore


def test_each_core_of_a_cpu_is_a_layout_of_its_own():
    assert [layout.name for layout in partitioning.layouts()] == ["cpu:0", "cpu:1"]
    assert [layout.mesh.size for layout in partitioning.layouts()] == [1, 1]
    assert partitioning.rows_per_pass(30) == 1
