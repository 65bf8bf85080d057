"""The model against golden files: of the reference implementation, and of the project itself."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from prompt_tuning.models.config import T5Config
from prompt_tuning.models.decoding import greedy
from prompt_tuning.models.parameters import parameter_shapes
from prompt_tuning.models.prompted import Batch, PromptedT5, cross_entropy
from prompt_tuning.models.scoring import log_likelihood
from prompt_tuning.models.t5 import T5
from prompt_tuning.prompts.placement import prefix

REFERENCE = Path(__file__).parents[2] / "../shared/data/golden/t5_1_1_prefix_prompt"
PROMPT = "encoder/prompt/prompt/prompt"


class Reference(NamedTuple):
    model: PromptedT5
    flat_params: dict
    bank: jax.Array
    batch: Batch
    outputs: dict


def close(actual, expected, tolerance):
    """Whether no difference exceeds `tolerance` times the largest expected number."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture(scope="module")
def reference() -> Reference:
    if not REFERENCE.is_dir():
        pytest.skip("the reference implementation's golden files are not on this machine")
    arrays = {name: dict(np.load(REFERENCE / f"{name}.npz")) for name in ("batch", "params")}
    config = T5Config(
        name="golden",
        vocab_size=128,
        emb_dim=32,
        num_heads=4,
        head_dim=8,
        mlp_dim=64,
        num_encoder_layers=3,
        num_decoder_layers=2,
        activations=("gelu", "linear"),
        tied_embeddings=False,
    )
    prompt = arrays["params"].pop(PROMPT)
    batch = Batch(
        jnp.asarray(arrays["batch"]["encoder_input_tokens"]),
        jnp.asarray(arrays["batch"]["decoder_target_tokens"]),
        jnp.zeros(4, jnp.int32),
    )
    outputs = dict(np.load(REFERENCE / "outputs.npz"))
    model = PromptedT5(T5(config), prefix)
    return Reference(model, arrays["params"], jnp.asarray(prompt)[None], batch, outputs)


@pytest.fixture(scope="module")
def reproduced(reference: Reference) -> dict:
    model, batch = reference.model, reference.batch

    def loss(bank, params):
        encoded, mask = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
        logits = model.decode(params, encoded, mask, batch.targets, None)
        total = jnp.sum(cross_entropy(logits, batch.targets, 1e-4))
        return total, {"encoded": encoded, "logits": logits, "loss": total}

    @jax.jit
    def compute(params, bank):
        (_, computed), gradient = jax.value_and_grad(loss, has_aux=True)(bank, params)
        inputs = (params, bank, batch.encoder_tokens, batch.prompt_id)
        return computed | {
            "prompt_grad": gradient[0],
            "scores": log_likelihood(model, params, bank, batch),
            "greedy": greedy(model, *inputs, length=6),
        }

    return compute(unflatten_dict(reference.flat_params, sep="/"), reference.bank)


def test_parameter_names_and_shapes_are_those_of_the_reference(reference):
    shapes = {name: value.shape for name, value in reference.flat_params.items()}
    assert parameter_shapes(reference.model.model.config) == shapes


@pytest.mark.parametrize("name", ["encoded", "loss", "prompt_grad"])
def test_reference_outputs_are_reproduced(name, reference, reproduced):
    close(reproduced[name], reference.outputs[name], 1e-5)


def test_reference_logits_are_reproduced_at_every_target(reference, reproduced):
    # The reference zeroes the logits of padded targets, which no loss reads.
    real = np.asarray(reference.batch.targets) > 0
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
