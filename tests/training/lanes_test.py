"""Lanes: rows that share a forward pass move as each does in a lane of its own."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.models.family import prompted
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.passes import Cutter
from prompt_tuning.training.pool import Pool
from prompt_tuning.training.state import init_state
from tests.training import toy

ROWS = [
    toy.row(
        f"row{i}",
        seed=i,
        schedule=dataclasses.replace(toy.SCHEDULE, learning_rate=0.3 / (1 + i)),
    )
    for i in range(3)
]


@pytest.fixture(scope="module")
def stepper() -> Stepper:
    config = dataclasses.replace(toy.config().step, dropout_rate=0.1)
    model = prompted(toy.T5_CONFIG, prefix)
    layouts = partitioning.layouts()
    return Stepper(model, partitioning.load(toy.backbone(), layouts), config)


def _lane(stepper: Stepper, slots: int, layout: int = 0) -> Lane:
    cutter = Cutter(
        dict.fromkeys(toy.SHAPES, 4), slots=slots, batch_size=4, prompt_length=3, mixed=True
    )
    return Lane(stepper, partitioning.layouts()[layout], cutter, slots, (3, 16))


def _load(lane: Lane, slot: int, index: int) -> None:
    prompt = np.random.default_rng(index).normal(size=(3, 16))
    state = init_state(jnp.asarray(prompt, jnp.float32), toy.config().step.optimizer)
    lane.load(slot, ROWS[index], state._replace(step=jnp.int32(5 * index)))


def _batch(index: int, length: int) -> HostBatch:
    rng = np.random.default_rng(10 + index)
    return HostBatch(
        rng.integers(2, 32, (4, length), np.int32), rng.integers(2, 32, (4, 2), np.int32)
    )


def test_three_slots_move_as_three_lanes_of_one(stepper: Stepper):
    batches = {i: _batch(i, length) for i, length in enumerate((8, 16, 8))}
    together = _lane(stepper, 3)
    for i in range(3):
        _load(together, i, i)
    shared, _ = together.step(batches)
    for i, batch in batches.items():
        alone = _lane(stepper, 1)
        _load(alone, 0, i)
        metrics, _ = alone.step({0: batch})
        one, other = together.state(i), alone.state(0)
        np.testing.assert_allclose(one.prompt, other.prompt, rtol=1e-6, atol=1e-6)
        assert one.step == other.step == 5 * i + 1
        np.testing.assert_allclose(shared.loss[i], metrics.loss[0], rtol=1e-6)
        assert shared.tokens[i] == metrics.tokens[0]


def test_a_slot_without_a_batch_does_not_move(stepper: Stepper):
    lane = _lane(stepper, 3)
    _load(lane, 0, 0)
    _load(lane, 2, 2)
    before = lane.state(0)
    lane.step({2: _batch(2, 16)})
    np.testing.assert_array_equal(lane.state(0).prompt, before.prompt)
    assert [int(lane.state(slot).step) for slot in (0, 2)] == [0, 11]


def _compiled(stepper: Stepper) -> list[int]:
    """Returns how many programs each part of the step was compiled to."""
    parts: list[Any] = [stepper.add, stepper.update]
    return [part._cache_size() for part in parts]


def test_nothing_recompiles_when_rows_come_and_go(stepper: Stepper):
    lane = _lane(stepper, 3)
    lane.compile()
    before = _compiled(stepper)
    for slots in ([0], [0, 2], [0, 1, 2], [1]):
        for slot in slots:
            if slot in lane.free:
                _load(lane, slot, slot)
        short = HostBatch(*(x[:3] for x in _batch(0, 8)))  # another batch size
        lane.step({slot: short if slot == 2 else _batch(slot, 16) for slot in slots})
    lane.unload(1)
    _load(lane, 1, 0)
    lane.step({1: _batch(5, 8)})
    assert _compiled(stepper) == before


def test_rows_take_slots_in_the_emptier_lane_and_freed_ones_again(stepper: Stepper):
    pool = Pool([_lane(stepper, 2, layout) for layout in range(2)])
    assert pool.slots == 4
    places = []
    for i in range(3):
        place = pool.free()
        assert place is not None
        places.append(place)
        _load(place.lane, place.slot, i)
    assert [(pool.lanes.index(lane), slot) for lane, slot in places] == [(0, 0), (1, 0), (0, 1)]
    assert pool.find("cpu:1", 1) == pool.find("cpu:0", 0) == (pool.lanes[1], 1)
    _load(pool.lanes[1], 1, 0)
    assert pool.free() is None
    places[2].lane.unload(1)
    assert pool.free() == places[2]
