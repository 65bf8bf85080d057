"""Captured activations of a prompted T5, against plain NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import prefix
from tests.models.t5.network_test import PlainT5

LAYERS = [f"{stack}/layers_{i}/mlp" for stack in ("encoder", "decoder") for i in range(2)]


class Noting(PlainT5):
    """A plain T5 that records the pre-activations of every feed-forward layer."""

    def __init__(self, config, params):
        super().__init__(config, params)
        self.noted = {}

    def feed_forward(self, x, name):
        first = "wi" if self.config.activations == ("relu",) else "wi_0"
        self.noted[name] = x @ self.weights[f"{name}/{first}/kernel"]
        return super().feed_forward(x, name)


@pytest.fixture(params=["t5_1_1", "t5_1_0"])
def case(request, golden_maker):
    config = golden_maker.CONFIGS[request.param]
    rng = np.random.default_rng(0)
    bank = PromptBank(rng.normal(size=(2, 3, 16)).astype(np.float32))
    batch = Batch(
        jnp.array([[5, 9, 3, 1], [7, 1, 0, 0]], jnp.int32),
        jnp.array([[8, 6, 1], [4, 1, 0]], jnp.int32),
        jnp.array([1, 0], jnp.int32),
    )
    return PromptedT5(config, prefix), golden_maker.parameters(config, 5), bank, batch


def test_captured_activations_precede_the_nonlinearity(case):
    model, params, bank, batch = case
    captured = jax.jit(model.capture)(params, bank, batch)
    assert sorted(captured) == sorted(LAYERS)
    # The second example is padded at its end, where activations have no meaning.
    for row, (inputs, targets) in enumerate([(4, 3), (2, 2)]):
        plain = Noting(model.config, params)
        table = plain.weights["token_embedder/embedding"]
        prompt = bank.prompts[batch.prompt_id[row]]
        tokens = np.asarray(batch.encoder_tokens[row, :inputs])
        shifted = np.array([0, *batch.targets[row, : targets - 1]])
        encoded = plain.stack("encoder", np.concatenate([prompt, table[tokens]]), None)
        plain.stack("decoder", table[shifted], encoded)
        for name in LAYERS:
            length = 3 + inputs if name.startswith("encoder") else targets
            np.testing.assert_allclose(captured[name][row, :length], plain.noted[name], atol=2e-5)


@pytest.mark.parametrize("remat", [False, True])
def test_an_ordinary_pass_captures_nothing(case, monkeypatch, remat):
    model, *inputs = case
    model = PromptedT5(model.config, prefix, remat)
    sown = []

    def program():
        def loss(bank, params, batch):
            return model.logits(params, bank, batch, None).sum()

        params, bank, batch = inputs
        return jax.jit(jax.value_and_grad(loss)).lower(bank, params, batch).as_text()

    ordinary = program()
    monkeypatch.setattr(nn.Module, "sow", lambda self, *args: sown.append(args))
    assert program() == ordinary
    assert sown
