"""Layouts: a batch cut over two devices is the batch on one."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import prompted
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.evaluation import Evaluator
from prompt_tuning.training.microbatches import Microbatcher
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.slots import DeviceSlots
from prompt_tuning.training.step import make_step
from prompt_tuning.types import UserError
from tests.training import toy

MODEL = prompted(toy.T5_CONFIG, prefix)


class _Card:
    """An accelerator with 800,000 bytes free."""

    platform = "gpu"

    def memory_stats(self) -> dict[str, int]:
        return {"bytes_limit": 1_000_000, "bytes_in_use": 200_000}


def _layout(devices: int) -> Layout:
    return Layout(f"over {devices}", Mesh(np.asarray(jax.devices()[:devices]), ("examples",)))


def _batch(index: int) -> HostBatch:
    rng = np.random.default_rng(index)
    tokens = rng.integers(2, 32, (4, 8), np.int32)
    tokens[1, 3:] = 0
    return HostBatch(tokens, rng.integers(2, 32, (4, 2), np.int32), np.zeros(4, np.int32))


def _step_on(layout: Layout):
    """Returns the slots of two rows and their metrics after one step with dropout on a layout."""
    config, prompts = dataclasses.replace(toy.config().step, dropout_rate=0.1), PromptTable(3)
    step = make_step(MODEL, prompts, config, layout if layout.mesh.size > 1 else None)
    frozen = partitioning.load_replicated(toy.backbone(), [layout])[layout.name]
    microbatcher = Microbatcher({(8, 2): 2}, slots=2, batch_size=4, prompt_length=3, mixed=True)
    slots = DeviceSlots(step, frozen, layout, microbatcher, 2, prompts)
    rng = np.random.default_rng(1)
    for slot in range(2):
        state = slots.start(jnp.asarray(rng.normal(size=(3, 16)), jnp.float32))
        slots.load(slot, toy.row(f"row{slot}", seed=slot), state, ())
    return slots, slots.step({slot: _batch(slot) for slot in range(2)})[0]


def test_a_step_over_two_devices_is_the_step_on_one():
    (one, metrics_of_one), (two, metrics_of_two) = _step_on(_layout(1)), _step_on(_layout(2))
    for slot in range(2):
        np.testing.assert_allclose(two.trainable(slot), one.trainable(slot), rtol=1e-6, atol=1e-6)
    assert len(metrics_of_two.loss.devices()) == 2
    np.testing.assert_allclose(metrics_of_two.loss, metrics_of_one.loss, rtol=1e-6)


def test_a_batch_is_cut_along_its_examples_and_the_rest_is_whole():
    layout, tokens = _layout(2), np.zeros((2, 4, 8), np.int32)
    cut = layout.put_batch(tokens, axis=1)
    assert {shard.data.shape for shard in cut.addressable_shards} == {(2, 2, 8)}
    whole = layout.put(tokens)
    assert {shard.data.shape for shard in whole.addressable_shards} == {(2, 4, 8)}


def test_a_batch_that_cannot_be_cut_is_refused():
    layout = _layout(2)
    with pytest.raises(UserError, match="a batch of 5 examples cannot be split over 2 devices"):
        layout.check_batch(5)
    with pytest.raises(UserError, match="a batch of 3 examples"):
        Evaluator(MODEL, {}, [layout], toy.Digits(), Greedy(), batch_size=3, shapes=[(8, 2)])  # pyright: ignore


def test_each_core_of_a_cpu_is_a_layout_of_its_own():
    assert [layout.name for layout in partitioning.layouts()] == ["cpu:0", "cpu:1"]
    assert [layout.mesh.size for layout in partitioning.layouts()] == [1, 1]
    assert not partitioning.mixes_rows()


@pytest.mark.parametrize(
    ("positions", "length", "most", "devices", "size"),
    [
        (512, 228, 16, 1, 2),
        (512, 56, 16, 1, 8),
        (512, 612, 16, 1, 1),
        (512, 56, 4, 1, 4),
        (4096, 100, 64, 4, 32),
        (100, 612, 6, 4, 4),
        (4096, 56, 6, 4, 8),
    ],
)
def test_the_size_of_a_microbatch(positions: int, length: int, most: int, devices: int, size: int):
    assert partitioning.microbatch_size(positions, length, most=most, devices=devices) == size


def test_microbatches_fill_an_accelerator_as_far_as_half_of_its_free_memory():
    cards: Any = Mesh(np.asarray([_Card(), _Card()], object), ("examples",))
    cards = Layout("cards", cards)
    assert partitioning.microbatch_positions(cards, lambda: 100.0) == 2 * 4000
    assert partitioning.microbatch_positions(cards, lambda: 1.0) == 2 * 8192
    assert partitioning.microbatch_positions(_layout(1), lambda: 1.0) == 512
