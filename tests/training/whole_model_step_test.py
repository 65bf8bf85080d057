"""The step of model tuning: spread over devices, in microbatches, and at a failure."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.models.family import prompted
from prompt_tuning.parameterizations.whole_model import WholeModel
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.microbatches import Microbatcher
from prompt_tuning.training.open_model import load_sharded
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.training.slots import DeviceSlots
from prompt_tuning.training.step import StepMetrics, make_step
from prompt_tuning.types import Params
from tests.training import toy

STEP = toy.model_config().step
MODEL = prompted(toy.T5_CONFIG, prefix)


@functools.cache
def _steps(devices: int = 1, size: int = 4, rate: float = 0.03) -> list[tuple[Params, StepMetrics]]:
    """Returns the model and the metrics after each of two steps, spread over some devices."""
    layout = Layout("here", Mesh(np.asarray(jax.devices()[:devices]), ("examples",)))
    step = make_step(MODEL, WholeModel(), STEP, layout if devices > 1 else None)
    microbatcher = Microbatcher({(8, 8): size}, slots=1, batch_size=4, prompt_length=0, mixed=False)
    slots = DeviceSlots(step, {}, layout, microbatcher, 1, WholeModel())
    schedule = Schedule(steps=2, batch_size=4, learning_rate=0.03, eval_period=2)
    object.__setattr__(schedule, "learning_rate", rate)  # users cannot set infinity
    row = toy.model_row("a", schedule=schedule)
    slots.load(0, row, slots.start(load_sharded(toy.backbone(), layout)), ())
    tokens = np.random.default_rng(0).integers(2, 32, (4, 8), np.int32)
    after = []
    for _ in range(2):
        metrics, _ = slots.step({0: HostBatch(tokens, tokens, np.zeros(4, np.int32))})
        metrics = StepMetrics(*(value[0] for value in metrics))
        # Copies: the next step takes the arrays.
        after.append((jax.tree.map(lambda x: x + 0, slots.trainable(0)), metrics))
    return after


@pytest.mark.parametrize("changes", [{"devices": 2}, {"size": 2}])
def test_neither_devices_nor_microbatches_change_the_update(changes: dict[str, int]):
    for (one, metrics), (other, others) in zip(_steps(), _steps(**changes), strict=True):
        np.testing.assert_allclose(others.loss, metrics.loss, rtol=1e-5)
        np.testing.assert_allclose(others.gradient_norm, metrics.gradient_norm, rtol=1e-4)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), one, other
        )


def test_parameters_are_spread_over_devices():
    table = _steps(devices=2)[1][0]["token_embedder"]["embedding"]
    assert {shard.data.shape for shard in table.addressable_shards} == {(16, 16)}


def test_the_first_update_is_the_sign_times_the_size_of_the_array():
    # From step 0 the second moment is the squared gradient, and g / sqrt(v) the sign.
    before = toy.params()["decoder"]["logits_dense"]["kernel"]
    after = _steps()[0][0]["decoder"]["logits_dense"]["kernel"]
    size = float(np.sqrt(np.mean(np.square(before))))
    np.testing.assert_allclose(np.abs(after - before), 0.03 * size, rtol=1e-2)


def test_a_failed_step_leaves_the_last_good_model():
    first, second = _steps(rate=np.inf)
    assert first[1].failed and second[1].failed
    for model, _ in (first, second):
        jax.tree.map(np.testing.assert_array_equal, model, toy.params())
