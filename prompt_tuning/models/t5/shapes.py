"""The names and shapes of a T5's parameters, as in T5X."""

import dataclasses

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.network import T5

EMBEDDING = "token_embedder/embedding"
"""The name of the embedding table."""


def parameter_shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every parameter by name, without initializing any.

    One layer per stack is traced, to save time: the others have the same shapes.
    """
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    one = T5(dataclasses.replace(config, num_encoder_layers=1, num_decoder_layers=1))
    key = jax.eval_shape(jax.random.key, 0)
    variables = jax.eval_shape(one.init, key, tokens, tokens)
    layers = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
    traced = jax.tree.map(lambda leaf: leaf.shape, variables["params"])
    shapes = {}
    for name, shape in flatten_dict(traced, sep="/").items():
        stack, first, rest = name.partition("/layers_0/")
        names = [f"{stack}/layers_{i}/{rest}" for i in range(layers[stack])] if first else [name]
        shapes |= dict.fromkeys(names, shape)
    return dict(sorted(shapes.items()))
