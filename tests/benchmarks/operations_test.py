"""Counted operations agree with those of the compiled program."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax.traverse_util import unflatten_dict

from benchmarks import operations
from benchmarks.operations import Sizes
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import parameter_shapes, prompted
from prompt_tuning.models.prompted import Batch, cross_entropy
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import prefix

CONFIG = T5Config(
    name="wide",
    vocab_size=512,
    emb_dim=256,
    num_heads=4,
    head_dim=64,
    mlp_dim=512,
    num_encoder_layers=2,
    num_decoder_layers=2,
    activations=("gelu", "linear"),
    tied_embeddings=False,
)
SIZES = Sizes(batch=2, prompt=20, inputs=44, targets=32)
ONE_STEP = Sizes(batch=2, prompt=20, inputs=44, targets=1)


def shapes_of(config: T5Config, sizes: Sizes):
    """Returns the shapes of parameters, a bank of one prompt, and a batch."""

    def array(*shape: int, dtype=jnp.float32) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    flat = {name: array(*shape) for name, shape in parameter_shapes(config).items()}
    batch = Batch(
        array(sizes.batch, sizes.inputs, dtype=jnp.int32),
        array(sizes.batch, sizes.targets, dtype=jnp.int32),
        array(sizes.batch, dtype=jnp.int32),
    )
    bank = PromptBank(array(1, sizes.prompt, config.emb_dim))
    return unflatten_dict(flat, sep="/"), bank, batch


def compiled_flops(function, *shapes) -> float:
    costs = jax.jit(function).lower(*shapes).compile().cost_analysis()
    assert costs is not None
    return costs["flops"]


def compiled_training(config: T5Config, sizes: Sizes) -> float:
    model = prompted(config, prefix)

    def loss(bank, params, batch):
        logits = model.logits(params, bank, batch, None)
        return cross_entropy(logits, batch.targets, 1e-4).sum()

    params, bank, batch = shapes_of(config, sizes)
    return compiled_flops(jax.value_and_grad(loss), bank, params, batch)


@pytest.mark.parametrize("layers", [(1, 1), (2, 2)])
def test_training_agrees_with_the_compiled_program(layers: tuple[int, int]):
    config = dataclasses.replace(CONFIG, num_encoder_layers=layers[0], num_decoder_layers=layers[1])
    found = compiled_training(config, SIZES) / operations.training(config, SIZES)
    assert 0.99 < found < 1.05


def test_greedy_agrees_with_the_compiled_program():
    model = prompted(CONFIG, prefix)
    params, bank, batch = shapes_of(CONFIG, ONE_STEP)

    def decode(params, bank, tokens, prompt_id):
        encoded = model.encode(params, bank, tokens, prompt_id, None)
        return Greedy()(model, params, encoded, length=1)

    found = compiled_flops(decode, params, bank, batch.encoder_tokens, batch.prompt_id)
    assert 0.99 < found / operations.greedy(CONFIG, ONE_STEP) < 1.05


def test_operations_of_a_model_of_ones_are_exact():
    one = T5Config("one", 1, 1, 1, 1, 1, 1, 1, ("gelu", "linear"), False)
    sizes = Sizes(batch=1, prompt=1, inputs=1, targets=1)
    # Encoder, S = 2: 2 (16 + 12) + 3 * 16. Decoder: 2 (8 + 4 + 8 + 6) + 3 (4 + 8). Logits: 2 * 2.
    # Without a gradient: 8 of self-attention's projections, 2 * 4 of its products, 2 of the
    # queries of cross-attention, 4 of its scores.
    assert operations.training(one, sizes) == 104 + 88 + 4 - 22
    assert operations.greedy(one, sizes) == (16 + 12 + 16) + (8 + 4 + 4 + 8 + 8 + 6) + 2
    assert operations.training(one, dataclasses.replace(sizes, batch=3)) == 3 * 174
