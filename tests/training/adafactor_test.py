"""Adafactor: hand-worked updates, and the trajectories of the reference implementation."""

from pathlib import Path

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.step import StepConfig, init_state
from tests.reference import Reference, read_reference
from tests.training import steps


def _adafactor(step_offset: int, weight_decay: float = 0.0) -> Adafactor:
    return Adafactor(
        decay_exponent=0.8,
        step_offset=step_offset,
        clip_rms=1.0,
        weight_decay=weight_decay,
        epsilon=1e-30,
        min_factored_size=128,
        parameter_scale=None,
    )


def test_first_step_moves_every_entry_by_the_learning_rate():
    # From step 0 the decay is 1 - 1 = 0: v is the squared gradient, the update its sign.
    prompt = jnp.asarray([[1.0, -2.0], [3.0, 0.5]])
    optimizer = _adafactor(0)
    gradient = jnp.asarray([[0.1, -5.0], [2.0, -1e-3]])
    moved, _ = optimizer.update(gradient, optimizer.init(prompt), prompt, jnp.float32(0.3))
    np.testing.assert_allclose(moved, [[0.7, -1.7], [2.7, 0.8]], rtol=1e-6)


def test_weight_decay_is_not_multiplied_by_the_learning_rate():
    prompt = jnp.asarray([[1.0, -2.0]])
    optimizer = _adafactor(0, weight_decay=0.1)
    gradient = jnp.asarray([[1.0, 1.0]])
    moved, _ = optimizer.update(gradient, optimizer.init(prompt), prompt, jnp.float32(0.3))
    np.testing.assert_allclose(moved, [[0.9 - 0.3, -1.8 - 0.3]], rtol=1e-6)


def test_from_the_pretrained_step_the_update_is_clipped_to_rms_one():
    # There the decay is nearly 1 and v starts at 0, so g / sqrt(v) is far above RMS 1.
    prompt = jnp.zeros((3, 4))
    optimizer = _adafactor(1_100_000)
    gradient = jnp.asarray(np.random.default_rng(0).normal(size=(3, 4)), jnp.float32)
    moved, _ = optimizer.update(gradient, optimizer.init(prompt), prompt, jnp.float32(0.3))
    assert float(jnp.sqrt(jnp.mean(jnp.square(moved)))) == pytest.approx(0.3, rel=1e-5)


@pytest.mark.parametrize(("shape", "factored"), [((100, 768), False), ((128, 128), True)])
def test_the_second_moment_is_factored_only_if_both_sides_are_large(
    shape: tuple[int, int], factored: bool
):
    state = _adafactor(0).init(jnp.zeros(shape))
    sizes = {leaf.shape for leaf in jax.tree.leaves(state)}
    assert (shape in sizes) is not factored


def _batch(golden: Reference) -> HostBatch:
    tokens, targets = np.asarray(golden.encoder_tokens), np.asarray(golden.targets)
    return HostBatch(tokens, targets, np.zeros(len(targets), np.int32))


@pytest.mark.parametrize("step_offset", [0, 1_100_000])
def test_twenty_steps_follow_the_reference_implementation(shared_data: Path, step_offset: int):
    golden = read_reference(shared_data)
    params = flax.traverse_util.unflatten_dict(golden.flat_params, sep="/")
    optimizer = _adafactor(step_offset, weight_decay=1e-5)
    config = StepConfig(optimizer=optimizer, dropout_rate=0.0, z_loss=1e-4)
    examples = {0: _batch(golden)}
    row = steps.settings([0.3], [0])
    state, losses, prompts = steps.stack([init_state(golden.prompt, optimizer)]), [], {}
    for done in range(1, 21):
        state, metrics = steps.take_step(
            golden.model, config, params, state, examples, row, size=len(examples[0].targets)
        )
        losses.append(float(metrics.loss[0]))
        prompts[done] = np.asarray(state.trainable[0])
    np.testing.assert_allclose(
        losses, golden.outputs[f"train_offset_{step_offset}_losses"], rtol=1e-4
    )
    wanted = golden.outputs[f"train_offset_{step_offset}_prompts"]
    for done, reference, tolerance in zip(
        (1, 2, 5, 20), wanted, (1e-4,) * 3 + (1e-3,), strict=True
    ):
        difference = np.abs(prompts[done] - reference).max() / np.abs(reference).max()
        assert difference < tolerance, f"after step {done}"
