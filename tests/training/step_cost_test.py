"""The compiled step multiplies what the activations need, and nothing for the frozen weights."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.family import prompted
from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.network import T5
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.training.microbatches import Microbatches
from prompt_tuning.training.step import add_microbatches, init_state, zero_sums
from tests.training import toy
from tests.training.steps import settings, stack

# No two of these products are alike, so that no activation has as many numbers as a weight.
CONFIG = T5Config(
    name="cost",
    vocab_size=40,
    emb_dim=20,
    num_heads=2,
    head_dim=7,
    mlp_dim=24,
    num_encoder_layers=2,
    num_decoder_layers=2,
    activations=("gelu", "linear"),
    tied_embeddings=False,
)
MODEL = prompted(CONFIG, prefix)
P, T, L, B = 4, 9, 5, 3

# Products of a layer with a frozen matrix, and of two activations.
ATTENTION = {"frozen": 4, "activations": 2}  # query, key, value, out; scores and mixture
MLP = {"frozen": 3, "activations": 0}  # two in, one out


@pytest.fixture(scope="module")
def params():
    tokens = np.ones((1, 1), np.int32)
    return jax.eval_shape(T5(CONFIG).init, jax.random.key(0), tokens, tokens)["params"]


@pytest.fixture(scope="module")
def state():
    return stack([init_state(jnp.zeros((P, CONFIG.emb_dim)), toy.config().step.optimizer)])


@pytest.fixture(scope="module")
def step(params, state) -> str:
    """The optimized program that adds the gradient of microbatches."""
    prompts = PromptTable(P)
    add = functools.partial(
        add_microbatches, model=MODEL, parameterization=prompts, config=toy.config().step
    )
    one = settings([0.3], [0]), microbatches(), jnp.int32(1), jnp.bool_(True)
    return optimized(add, zero_sums(state.trainable, (), prompts), params, state, *one)


def microbatches() -> Microbatches:
    tokens, targets = (jnp.ones((1, B, length), jnp.int32) for length in (T, L))
    return Microbatches(tokens, targets, *[jnp.zeros((1, B), jnp.int32)] * 3)


def optimized(function, *inputs) -> str:
    text = jax.jit(function).lower(*inputs).compile().as_text()
    assert text is not None
    return text


def product_sizes(program: str) -> list[int]:
    """Returns how many numbers each matrix product of an optimized program puts out."""
    shapes = re.findall(r"= \w+\[([\d,]*)\]\S* dot\(", program)
    return [math.prod(int(size) for size in shape.split(",")) for shape in shapes]


def forward_products() -> int:
    encoder = sum(ATTENTION.values()) + sum(MLP.values())
    decoder = 2 * sum(ATTENTION.values()) + sum(MLP.values())
    return CONFIG.num_encoder_layers * encoder + CONFIG.num_decoder_layers * decoder + 1


def backward_products() -> int:
    """One to the input of every frozen product, and one to each side of every other product."""
    encoder = backward(ATTENTION) + backward(MLP)
    decoder = 2 * backward(ATTENTION) + backward(MLP)
    # The first decoder layer does not depend on the prompt before it mixes what was encoded: not
    # its self-attention, nor the two frozen products of its queries, nor that side of the scores.
    before_the_prompt = backward(ATTENTION) + 2 + 1
    layers = CONFIG.num_encoder_layers * encoder + CONFIG.num_decoder_layers * decoder
    return layers + 1 - before_the_prompt


def backward(part: dict[str, int]) -> int:
    return part["frozen"] + 2 * part["activations"]


def test_forward_products(params):
    def logits(params, bank, one):
        batch = Batch(one.encoder_tokens[0], one.targets[0], one.slot[0])
        return MODEL.logits(params, bank, batch, None)

    bank = PromptBank(jnp.zeros((1, P, CONFIG.emb_dim)))
    program = optimized(logits, params, bank, microbatches())
    assert len(product_sizes(program)) == forward_products()


def test_backward_products_are_those_of_the_activations(step):
    assert len(product_sizes(step)) == forward_products() + backward_products()


def test_no_product_has_the_size_of_a_weight(step, params):
    weights = {leaf.size for leaf in jax.tree.leaves(params)}
    assert not weights & set(product_sizes(step))


def test_tokens_are_embedded_by_gather(step):
    table = rf"f32\[{CONFIG.vocab_size},{CONFIG.emb_dim}\]"
    assert re.search(rf"gather\(.*slice_sizes=\{{1,{CONFIG.emb_dim}\}}", step)
    assert not re.search(rf"= {table}\S* (scatter|dot|add)\(", step)


def test_optimizer_holds_no_more_than_the_prompt(state):
    sizes = [leaf.size for leaf in jax.tree.leaves(state.optimizer)]
    assert max(sizes) <= P * CONFIG.emb_dim
