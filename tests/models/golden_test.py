"""The model against golden files: of the reference implementation, and of the project itself."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.prompted import Batch, cross_entropy
from prompt_tuning.models.scoring import log_likelihood
from prompt_tuning.prompts.bank import PromptBank
from tests.reference import Reference, read_reference


def close(actual, expected, tolerance):
    """Whether no difference exceeds `tolerance` times the largest expected number."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture(scope="module")
def reference(shared_data: Path) -> Reference:
    return read_reference(shared_data)


@pytest.fixture(scope="module")
def reproduced(reference: Reference) -> dict:
    model = reference.model
    batch = Batch(reference.encoder_tokens, reference.targets, jnp.zeros(4, jnp.int32))

    def loss(bank, params):
        encoded = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
        logits = model.decode(params, encoded, batch.targets, None)
        total = jnp.sum(cross_entropy(logits, batch.targets, 1e-4))
        return total, {"encoded": encoded.states, "logits": logits, "loss": total}

    @jax.jit
    def compute(params, bank):
        (_, computed), gradient = jax.value_and_grad(loss, has_aux=True)(bank, params)
        encoded = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
        return computed | {
            "prompt_grad": gradient.prompts[0],
            "scores": log_likelihood(model, params, bank, batch),
            "greedy": Greedy()(model, params, encoded, length=6),
        }

    return compute(
        unflatten_dict(reference.flat_params, sep="/"), PromptBank(reference.prompt[None])
    )


def test_parameter_names_and_shapes_are_those_of_the_reference(reference):
    shapes = {name: value.shape for name, value in reference.flat_params.items()}
    assert parameter_shapes(reference.model.config) == shapes


@pytest.mark.parametrize("name", ["encoded", "loss", "prompt_grad"])
def test_reference_outputs_are_reproduced(name, reference, reproduced):
    close(reproduced[name], reference.outputs[name], 1e-5)


def test_reference_logits_are_reproduced_at_every_target(reference, reproduced):
    # The reference zeroes the logits of padded targets, which no loss reads.
    real = np.asarray(reference.targets) > 0
    close(np.asarray(reproduced["logits"])[real], reference.outputs["logits"][real], 1e-5)


def test_reference_sequence_scores_are_reproduced(reference, reproduced):
    np.testing.assert_allclose(reproduced["scores"], reference.outputs["scores"], rtol=0, atol=1e-4)


def test_reference_greedy_tokens_are_reproduced(reference, reproduced):
    np.testing.assert_array_equal(reproduced["greedy"], reference.outputs["greedy"])


@pytest.fixture(scope="module", params=["t5_1_1", "t5_1_0"])
def own(request, golden_maker) -> tuple[dict, dict]:
    config = golden_maker.CONFIGS[request.param]
    stored = dict(np.load(golden_maker.path(config), allow_pickle=False))
    return golden_maker.outputs(config), stored


def test_own_golden_outputs_are_reproduced_with_every_placement(own):
    computed, stored = own
    assert computed.keys() == stored.keys()
    for name in ("encoded", "logits", "losses", "prompt_gradient", "scores", "beam_scores"):
        close(computed[name], stored[name], 1e-5)


def test_own_golden_sequences_are_reproduced_with_every_placement(own):
    computed, stored = own
    np.testing.assert_array_equal(computed["greedy"], stored["greedy"])
    np.testing.assert_array_equal(computed["beam_tokens"], stored["beam_tokens"])
