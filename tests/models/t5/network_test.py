"""T5 against a second, plain implementation: NumPy in float64, one example, no padding."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from prompt_tuning.models.t5 import decoder, encoder
from prompt_tuning.models.t5.layers import Dropout, DropoutMasks
from prompt_tuning.models.t5.network import T5

RATE = 0.25


class PlainT5:
    """Computes the logits of one example, written after Raffel et al. 2020 and Shazeer 2020."""

    def __init__(self, config, params, masks=None):
        self.config = config
        self.masks = masks or {}
        flat = flatten_dict(params, sep="/")
        self.weights = {name: np.asarray(value, np.float64) for name, value in flat.items()}

    def logits(self, tokens, decoder_tokens):
        embedding = self.weights["token_embedder/embedding"]
        encoded = self.stack("encoder", embedding[tokens], None)
        hidden = self.stack("decoder", embedding[decoder_tokens], encoded)
        if self.config.tied_embeddings:
            return hidden @ embedding.T / math.sqrt(self.config.emb_dim)
        return hidden @ self.weights["decoder/logits_dense/kernel"]

    def stack(self, name, x, encoded):
        causal = encoded is not None
        own = "self_attention" if causal else "attention"
        norm = "pre_self_attention_layer_norm" if causal else "pre_attention_layer_norm"
        x = self.drop(x, f"{name}/input")
        for i in range(2):
            layer = f"{name}/layers_{i}"
            y = self.norm(x, f"{layer}/{norm}")
            y = self.attend(y, y, f"{layer}/{own}", self.bias(name, len(x), causal))
            x = x + self.drop(y, f"{layer}/{own}_output")
            if causal:
                y = self.norm(x, f"{layer}/pre_cross_attention_layer_norm")
                y = self.attend(y, encoded, f"{layer}/encoder_decoder_attention", None)
                x = x + self.drop(y, f"{layer}/encoder_decoder_attention_output")
            y = self.feed_forward(self.norm(x, f"{layer}/pre_mlp_layer_norm"), f"{layer}/mlp")
            x = x + self.drop(y, f"{layer}/mlp_output")
        return self.drop(self.norm(x, f"{name}/{name}_norm"), f"{name}/output")

    def drop(self, x, site):
        """Keeps what the mask of `site` keeps; without masks, everything."""
        if not self.masks:
            return x
        return x * self.masks[site.replace("layers_", "")]

    def norm(self, x, name):
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * self.weights[f"{name}/scale"]

    def attend(self, x, y, name, bias):
        size = self.config.head_dim
        mixed = []
        for head in range(self.config.num_heads):
            part = slice(head * size, (head + 1) * size)
            query = x @ self.weights[f"{name}/query/kernel"][:, part]
            key = y @ self.weights[f"{name}/key/kernel"][:, part]
            value = y @ self.weights[f"{name}/value/kernel"][:, part]
            scores = query @ key.T + (0.0 if bias is None else bias[head])
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights = weights / weights.sum(-1, keepdims=True)
            mixed.append(self.drop_keys(weights, name, head) @ value)
        return np.concatenate(mixed, -1) @ self.weights[f"{name}/out/kernel"]

    def drop_keys(self, weights, name, head):
        if not self.masks:
            return weights
        return weights * self.masks[name.replace("layers_", "")][:, head]

    def bias(self, name, length, causal):
        table = self.weights[f"{name}/relpos_bias/rel_embedding"]
        bias = np.full((self.config.num_heads, length, length), -np.inf)
        for query in range(length):
            for key in range(length):
                if not causal or key <= query:
                    bias[:, query, key] = table[:, bucket(key - query, causal)]
        return bias

    def feed_forward(self, x, name):
        if self.config.activations == ("relu",):
            hidden = np.maximum(x @ self.weights[f"{name}/wi/kernel"], 0.0)
        else:
            gate = x @ self.weights[f"{name}/wi_0/kernel"]
            gate = 0.5 * gate * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
            hidden = gate * (x @ self.weights[f"{name}/wi_1/kernel"])
        return self.drop(hidden, f"{name}/hidden") @ self.weights[f"{name}/wo/kernel"]


def bucket(distance, causal):
    count = 32 if causal else 16
    base = count if not causal and distance > 0 else 0
    distance = abs(distance)
    if distance < count // 2:
        return base + distance
    large = count // 2 + int(
        math.log(distance / (count // 2)) / math.log(128 / (count // 2)) * (count // 2)
    )
    return base + min(large, count - 1)


@pytest.fixture
def drawn(monkeypatch):
    """Patches the drawing of masks to record those of example 0, by `stack/site`."""
    noted = {}

    def draw_masks(drop, stack, features, attention, num_heads):
        if drop is None:
            return None
        random = np.random.RandomState(len(noted))

        def draw(*shape):
            return (random.rand(1, *shape) > RATE).astype(np.float32) / (1 - RATE)

        width = {site: draw(size) for site, size in features.items()}
        keys = {site: draw(size, num_heads) for site, size in attention.items()}
        noted.update({f"{stack}/{site}": mask[0] for site, mask in (width | keys).items()})
        return DropoutMasks(*({k: jnp.asarray(v) for k, v in d.items()} for d in (width, keys)))

    for stack in (encoder, decoder):
        monkeypatch.setattr(stack, "draw_masks", draw_masks)
    return noted


def test_dropout_acts_on_every_site(golden_maker, drawn):
    config = golden_maker.CONFIGS["t5_1_1"]
    params = golden_maker.parameters(config, 5)
    tokens = np.array([[5, 9, 3, 1]], np.int32)
    decoder_tokens = np.array([[0, 7, 8]], np.int32)

    def decode(model):
        drop = Dropout(RATE, jax.random.split(jax.random.key(0), 1))
        encoded = model.encode(model.embed(tokens), tokens > 0, drop)
        return model.decode(encoded, tokens > 0, decoder_tokens, drop)

    logits = jax.jit(lambda params: nn.apply(decode, T5(config))({"params": params}))(params)
    expected = PlainT5(config, params, drawn).logits(tokens[0], decoder_tokens[0])
    np.testing.assert_allclose(logits[0], expected, atol=2e-5)


@pytest.mark.parametrize("name", ["t5_1_1", "t5_1_0"])
def test_logits_agree_with_the_plain_implementation(golden_maker, name):
    config = golden_maker.CONFIGS[name]
    params = golden_maker.parameters(config, 5)
    random = np.random.RandomState(2)
    # Long enough for the logarithmic buckets of both stacks.
    tokens, decoder_tokens = (random.randint(2, 40, (1, n)).astype(np.int32) for n in (30, 21))
    logits = jax.jit(T5(config).apply)({"params": params}, tokens, decoder_tokens)
    expected = PlainT5(config, params).logits(tokens[0], decoder_tokens[0])
    np.testing.assert_allclose(logits[0], expected, atol=2e-5)
