"""Lanes: rows that share a forward pass move as each does in a lane of its own."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.lanes import Lane, Stepper
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
    model = PromptedT5(T5(toy.T5_CONFIG), prefix)
    layouts = partitioning.layouts()
    return Stepper(model, partitioning.load(toy.backbone(), layouts), config, toy.SHAPES)


def _lane(stepper: Stepper, slots: int) -> Lane:
    return Lane(stepper, partitioning.layouts()[0], slots, (3, 16), 4)


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
    shared = together.step(batches)
    for i, batch in batches.items():
        alone = _lane(stepper, 1)
        _load(alone, 0, i)
        metrics = alone.step({0: batch})
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


def test_a_freed_slot_is_taken_again_before_a_new_lane_is_made(stepper: Stepper):
    pool = Pool(stepper, partitioning.layouts(), 2, (3, 16))
    places = []
    for i in range(3):
        place = pool.free(4)
        places.append(place)
        _load(place.lane, place.slot, i)
    assert [(pool.lanes.index(lane), slot) for lane, slot in places] == [(0, 0), (0, 1), (1, 0)]
    assert [lane.layout.name for lane in pool.lanes] == ["cpu:0", "cpu:1"]
    assert pool.free(8).lane not in [place.lane for place in places]
    places[1].lane.unload(1)
    assert pool.free(4) == places[1]
    places[2].lane.unload(0)
    pool.drop_empty()
    assert pool.lanes == [places[0].lane]


def test_batches_of_rows_together_take_the_smallest_shape_that_holds_them(stepper: Stepper):
    assert stepper.shape([_batch(0, 8), _batch(1, 8)]) == (8, 2)
    assert stepper.shape([_batch(0, 8), _batch(1, 16)]) == (16, 2)
