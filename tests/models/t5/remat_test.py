"""Rematerialization: the same gradient and parameters, with few activations kept."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.prompted import Batch, Dropout, cross_entropy
from prompt_tuning.models.t5.network import T5
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import prefix

B, T, P, L = 4, 12, 3, 2
ENCODER_LAYERS, DECODER_LAYERS = 3, 1


@pytest.fixture(scope="module")
def config(golden_maker):
    return dataclasses.replace(
        golden_maker.CONFIGS["t5_1_1"],
        num_encoder_layers=ENCODER_LAYERS,
        num_decoder_layers=DECODER_LAYERS,
    )


@pytest.fixture(scope="module")
def inputs(golden_maker, config):
    rng = np.random.default_rng(0)
    batch = Batch(
        encoder_tokens=jnp.asarray(rng.integers(2, 40, (B, T)), jnp.int32),
        targets=jnp.asarray(rng.integers(2, 40, (B, L)), jnp.int32),
        prompt_id=jnp.zeros(B, jnp.int32),
    )
    bank = PromptBank(jnp.asarray(rng.normal(size=(1, P, config.emb_dim)), jnp.float32))
    return bank, golden_maker.parameters(config, 0), batch


def loss(bank, params, batch, config, remat):
    drop = Dropout(0.1, jax.random.split(jax.random.key(0), B))
    logits = PromptedT5(config, prefix, remat).logits(params, bank, batch, drop)
    return cross_entropy(logits, batch.targets, 1e-4).sum()


def test_gradient_is_the_same(config, inputs):
    value = functools.partial(loss, config=config)
    compute = jax.jit(jax.value_and_grad(value), static_argnames="remat")
    kept, again = (compute(*inputs, remat=remat) for remat in (False, True))
    np.testing.assert_allclose(again[0], kept[0], rtol=1e-6)
    np.testing.assert_allclose(again[1].prompts, kept[1].prompts, rtol=1e-4, atol=1e-6)


def test_only_the_input_of_a_block_is_kept(config, inputs):
    bank, params, batch = inputs

    def kept(layers, remat):
        """Returns how many numbers the backward pass of so many encoder blocks is handed."""
        deep = dataclasses.replace(config, num_encoder_layers=layers)

        def pull_back(bank, params):
            return jax.vjp(lambda bank: loss(bank, params, batch, deep, remat), bank)[1]

        handed = jax.eval_shape(pull_back, bank, params)
        return sum(leaf.size for leaf in jax.tree.leaves(handed))

    block = params["encoder"]["layers_1"]
    weights = sum(leaf.size for leaf in jax.tree.leaves(block))
    masks = B * (2 * config.emb_dim + config.mlp_dim + (P + T) * config.num_heads)
    assert kept(3, True) - kept(2, True) == weights + B * (P + T) * config.emb_dim + masks
    assert kept(3, False) - kept(2, False) > 4 * (kept(3, True) - kept(2, True))


def test_parameters_are_the_same(config):
    tokens = np.ones((1, 2), np.int32)
    params = jax.eval_shape(T5(config, remat=True).init, jax.random.key(0), tokens, tokens)
    assert parameter_shapes(config) == {
        "/".join(key.key for key in path): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(params["params"])
    }
