"""Slots: rows that share microbatches move as each does by itself."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.models.family import prompted
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.microbatches import Microbatcher
from prompt_tuning.training.slots import DeviceSlots, Slots
from prompt_tuning.training.step import Step, make_step
from tests.training import toy

ROWS = [
    toy.row(
        f"row{i}",
        seed=i,
        schedule=dataclasses.replace(toy.SCHEDULE, learning_rate=0.3 / (1 + i)),
    )
    for i in range(3)
]


PROMPTS = PromptTable(3)


@pytest.fixture(scope="module")
def step() -> Step:
    config = dataclasses.replace(toy.config().step, dropout_rate=0.1)
    return make_step(prompted(toy.T5_CONFIG, prefix), PROMPTS, config)


@pytest.fixture(scope="module")
def frozen() -> Any:
    return partitioning.load_replicated(toy.backbone(), partitioning.layouts())


@pytest.fixture
def make_slots(step: Step, frozen: Any):
    """Returns a function that makes the slots of a layout."""

    def make(count: int, layout: int = 0) -> DeviceSlots:
        microbatcher = Microbatcher(
            dict.fromkeys(toy.SHAPES, 4), slots=count, batch_size=4, prompt_length=3, mixed=True
        )
        on = partitioning.layouts()[layout]
        return DeviceSlots(step, frozen[on.name], on, microbatcher, count, PROMPTS)

    return make


def _prompt(index: int) -> np.ndarray:
    return np.random.default_rng(index).normal(size=(3, 16)).astype(np.float32)


def _load(slots: DeviceSlots, slot: int, index: int) -> None:
    state = slots.start(_prompt(index))
    slots.load(slot, ROWS[index], state._replace(step=jnp.int32(5 * index)), ())


def _batch(index: int, length: int) -> HostBatch:
    rng = np.random.default_rng(10 + index)
    tokens, targets = (rng.integers(2, 32, (4, size), np.int32) for size in (length, 2))
    return HostBatch(tokens, targets, np.zeros(4, np.int32))


def test_three_slots_move_as_three_times_one(make_slots):
    batches = {i: _batch(i, length) for i, length in enumerate((8, 16, 8))}
    together = make_slots(3)
    for i in range(3):
        _load(together, i, i)
    shared, _ = together.step(batches)
    for i, batch in batches.items():
        alone = make_slots(1)
        _load(alone, 0, i)
        metrics, _ = alone.step({0: batch})
        one, other = together.state(i), alone.state(0)
        np.testing.assert_allclose(one.trainable, other.trainable, rtol=1e-6, atol=1e-6)
        assert one.step == other.step == 5 * i + 1
        np.testing.assert_allclose(shared.loss[i], metrics.loss[0], rtol=1e-6)
        assert shared.tokens[i] == metrics.tokens[0]


def test_a_slot_without_a_batch_does_not_move(make_slots):
    slots = make_slots(3)
    _load(slots, 0, 0)
    _load(slots, 2, 2)
    before = np.array(slots.trainable(0))
    slots.step({2: _batch(2, 16)})
    np.testing.assert_array_equal(slots.trainable(0), before)
    assert [int(slots.state(slot).step) for slot in (0, 2)] == [0, 11]


def _compiled(step: Step) -> list[int]:
    """Returns how many programs each part of the step was compiled to."""
    parts: list[Any] = [step.add, step.update]
    return [part._cache_size() for part in parts]


def test_nothing_recompiles_when_rows_come_and_go(step: Step, make_slots):
    slots = make_slots(3)
    slots.compile(_prompt(0), ())
    before = _compiled(step)
    for numbers in ([0], [0, 2], [0, 1, 2], [1]):
        for slot in numbers:
            if slot in slots.free:
                _load(slots, slot, slot)
        short = HostBatch(*(x[:3] for x in _batch(0, 8)))  # another batch size
        slots.step({slot: short if slot == 2 else _batch(slot, 16) for slot in numbers})
    slots.unload(1)
    _load(slots, 1, 0)
    slots.step({1: _batch(5, 8)})
    assert _compiled(step) == before


def test_rows_take_slots_of_the_emptier_layout_and_freed_ones_again(make_slots):
    slots = Slots([make_slots(2, layout) for layout in range(2)])
    assert len(slots) == 4
    taken = []
    for i in range(3):
        slot = slots.free()
        assert slot is not None
        taken.append(slot)
        _load(slot.device, slot.number, i)
    assert [(slots.devices.index(device), number) for device, number in taken] == [
        (0, 0),
        (1, 0),
        (0, 1),
    ]
    assert slots.find("cpu:1", 1) == slots.find("cpu:0", 0) == (slots.devices[1], 1)
    _load(slots.devices[1], 1, 0)
    assert slots.free() is None
    taken[2].device.unload(1)
    assert slots.free() == taken[2]


def test_a_second_run_of_the_same_model_compiles_nothing(step: Step):
    config = dataclasses.replace(toy.config().step, dropout_rate=0.1)
    model = prompted(dataclasses.replace(toy.T5_CONFIG), prefix)
    assert make_step(model, PromptTable(3), config) is step
