"""T5's decoder, for whole targets or one token at a time."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from prompt_tuning.models.prompted import DecodeState, Dropout
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.layers import (
    Attention,
    Cache,
    DropoutMasks,
    Mlp,
    RelativeBias,
    RmsNorm,
    causal_bias,
    dense,
    draw_masks,
    dropout,
)
from prompt_tuning.types import Array


class Memory(NamedTuple):
    """The encoded input as decoding attends to it.

    Attributes:
        encoded: The encoder output, `[B, P+T, H]`; or, when decoding at least `head_dim` tokens,
            its keys and values per layer, which then cost less.
        bias: `[B, 1, 1, P+T]`, large and negative at padding.
    """

    encoded: Array | tuple[Cache, ...]
    bias: Array


class Decoder(nn.Module):
    """Runs the decoder blocks over embedded, shifted targets; `remat` as in `T5`."""

    config: T5Config
    remat: bool

    def setup(self):
        c = self.config
        self.relpos_bias = RelativeBias(
            c.num_heads, c.relative_buckets, c.relative_max_distance, False, c.dtype
        )
        # As a separate jitted function, a block is traced once, not once per layer.
        layer = nn.jit(nn.remat(DecoderLayer) if self.remat else DecoderLayer)
        self.layers = [layer(c, name=f"layers_{i}") for i in range(c.num_decoder_layers)]
        self.decoder_norm = RmsNorm(c.dtype)
        if not c.tied_embeddings:
            self.logits_dense = dense(c.vocab_size, c.dtype)

    def __call__(
        self, x: Array, encoded: Array, encoder_bias: Array, drop: Dropout | None
    ) -> Array:
        positions = jnp.arange(x.shape[1], dtype=jnp.int32)
        bias = self.relpos_bias(positions, positions)
        bias = bias + causal_bias(positions, positions, bias.dtype)
        masks = self._draw_masks(drop, x.shape[1], encoded.shape[1])
        x = dropout(x, masks, "input")
        for i, layer in enumerate(self.layers):
            x = layer(x, encoded, bias, encoder_bias, masks and masks.of_layer(i))
        return dropout(self.decoder_norm(x), masks, "output")

    def step(self, x: Array, state: DecodeState) -> tuple[Array, tuple[Cache, ...]]:
        """Runs one position `[B, 1, H]`; returns its output and the extended caches.

        The state's cache is one `Cache` per layer, `[B, heads, L, head_dim]`, and its memory a
        `Memory`.
        """
        keys = jnp.arange(state.cache[0].keys.shape[2], dtype=jnp.int32)
        query = state.index[None]
        bias = self.relpos_bias(query, keys)
        bias = bias + causal_bias(query, keys, bias.dtype)
        caches = []
        encoded, encoder_bias = state.memory
        for i, (layer, past) in enumerate(zip(self.layers, state.cache, strict=True)):
            memory = encoded[i] if isinstance(encoded, tuple) else encoded
            x, cache = layer.step(x, past, state.index, bias, memory, encoder_bias)
            caches.append(cache)
        return self.decoder_norm(x), tuple(caches)

    def memories(self, encoded: Array) -> tuple[Cache, ...]:
        """Returns each layer's keys and values of the encoder output `[B, P+T, H]`."""
        return tuple(layer.encoder_decoder_attention.keys_values(encoded) for layer in self.layers)

    def _draw_masks(
        self, drop: Dropout | None, length: int, encoded_length: int
    ) -> DropoutMasks | None:
        c = self.config
        features = {"input": c.emb_dim, "output": c.emb_dim}
        attention = {}
        for i in range(c.num_decoder_layers):
            attention[f"{i}/self_attention"] = length
            attention[f"{i}/encoder_decoder_attention"] = encoded_length
            features[f"{i}/self_attention_output"] = c.emb_dim
            features[f"{i}/encoder_decoder_attention_output"] = c.emb_dim
            features[f"{i}/mlp/hidden"] = c.mlp_dim
            features[f"{i}/mlp_output"] = c.emb_dim
        return draw_masks(drop, "decoder", features, attention, c.num_heads)


class DecoderLayer(nn.Module):
    """One decoder block: self-attention, attention to the encoder, feed-forward."""

    config: T5Config

    def setup(self):
        c = self.config
        self.pre_self_attention_layer_norm = RmsNorm(c.dtype)
        self.self_attention = Attention(c.num_heads, c.head_dim, c.emb_dim, c.dtype)
        self.pre_cross_attention_layer_norm = RmsNorm(c.dtype)
        self.encoder_decoder_attention = Attention(c.num_heads, c.head_dim, c.emb_dim, c.dtype)
        self.pre_mlp_layer_norm = RmsNorm(c.dtype)
        self.mlp = Mlp(c.mlp_dim, c.emb_dim, c.activations, c.dtype)

    def __call__(
        self,
        x: Array,
        encoded: Array,
        bias: Array,
        encoder_bias: Array,
        masks: DropoutMasks | None,
    ) -> Array:
        y = self.pre_self_attention_layer_norm(x)
        own = self.self_attention.keys_values(y)
        y = self.self_attention(y, own, bias, masks, "self_attention")
        return self._after_self_attention(x, y, encoded, encoder_bias, masks)

    def step(
        self,
        x: Array,
        past: Cache,
        index: Array,
        bias: Array,
        memory: Array | Cache,
        encoder_bias: Array,
    ) -> tuple[Array, Cache]:
        """Runs `x` `[B, 1, H]` at position `index`; returns its output and the extended cache."""
        y = self.pre_self_attention_layer_norm(x)
        new = self.self_attention.keys_values(y)
        own = Cache(
            jax.lax.dynamic_update_slice_in_dim(past.keys, new.keys, index, axis=2),
            jax.lax.dynamic_update_slice_in_dim(past.values, new.values, index, axis=2),
        )
        y = self.self_attention(y, own, bias, None, "")
        return self._after_self_attention(x, y, memory, encoder_bias, None), own

    def _after_self_attention(
        self,
        x: Array,
        y: Array,
        memory: Array | Cache,
        encoder_bias: Array,
        masks: DropoutMasks | None,
    ) -> Array:
        x = x + dropout(y, masks, "self_attention_output")
        y = self.pre_cross_attention_layer_norm(x)
        y = self.encoder_decoder_attention.attend(
            y, memory, encoder_bias, masks, "encoder_decoder_attention"
        )
        x = x + dropout(y, masks, "encoder_decoder_attention_output")
        y = self.mlp(self.pre_mlp_layer_norm(x), masks, "mlp")
        return x + dropout(y, masks, "mlp_output")
