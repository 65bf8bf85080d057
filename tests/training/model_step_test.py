"""The step of model tuning: spread over devices, in microbatches, and at a failure."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from prompt_tuning.models.family import prompted
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.model_step import ModelState, init_model_state, model_step
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.step import StepMetrics
from tests.training import toy

STEP = toy.model_config().step
MODEL = prompted(toy.T5_CONFIG, prefix)


@functools.cache
def _compiled(microbatches: int):
    """Returns the step, shared by tests so that it is compiled once for each number of devices."""
    step = functools.partial(model_step, model=MODEL, config=STEP, microbatches=microbatches)
    return jax.jit(step)


@functools.cache
def _steps(devices: int = 1, microbatches: int = 1, rate: float = 0.03):
    """Returns the first and the second state and metrics on some devices, spread over them."""
    layout = Layout("here", Mesh(np.asarray(jax.devices()[:devices]), ("examples",)))
    (params,) = toy.backbone().load([layout.spread])
    rng = np.random.default_rng(0)
    batch = layout.put_batch((rng.integers(2, 32, (4, 8), np.int32),) * 2, axis=0)
    seen: list[tuple[ModelState, StepMetrics]] = []
    state = init_model_state(params, STEP.optimizer)
    for _ in range(2):
        state, metrics = _compiled(microbatches)(state, *batch, np.uint32(0), np.float32(rate))
        seen.append((state, metrics))
    return seen


@pytest.mark.parametrize("changes", [{"devices": 2}, {"microbatches": 2}])
def test_neither_devices_nor_microbatches_change_the_update(changes: dict[str, int]):
    for (one, metrics), (other, others) in zip(_steps(), _steps(**changes), strict=True):
        np.testing.assert_allclose(others.loss, metrics.loss, rtol=1e-5)
        np.testing.assert_allclose(others.gradient_norm, metrics.gradient_norm, rtol=1e-4)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
            one.params,
            other.params,
        )


def test_parameters_are_spread_over_devices():
    table = _steps(devices=2)[1][0].params["token_embedder"]["embedding"]
    assert {shard.data.shape for shard in table.addressable_shards} == {(16, 16)}


def test_the_first_update_is_the_sign_times_the_size_of_the_array():
    # From step 0 the second moment is the squared gradient, and g / sqrt(v) the sign.
    before = toy.params()["decoder"]["logits_dense"]["kernel"]
    after = _steps()[0][0].params["decoder"]["logits_dense"]["kernel"]
    size = float(np.sqrt(np.mean(np.square(before))))
    np.testing.assert_allclose(np.abs(after - before), 0.03 * size, rtol=1e-2)


def test_a_failed_step_leaves_the_last_good_model():
    first, second = _steps(rate=np.inf)
    assert not first[1].failed and second[1].failed
    jax.tree.map(np.testing.assert_array_equal, second[0].params, first[0].params)
    assert int(second[0].step) == 1
