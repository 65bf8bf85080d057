"""T5 1.0 and 1.1 with T5X's parameter names and layouts (Raffel et al. 2020; Shazeer 2020).

The encoder takes embeddings, so that a soft prompt can stand in front of the embedded tokens.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from prompt_tuning.models.layers import (
    Attention,
    Cache,
    Dropout,
    DropoutMasks,
    Mlp,
    RelativeBias,
    RmsNorm,
    attention_bias,
    causal_bias,
    draw_masks,
    dropout,
    statistics_dtype,
)
from prompt_tuning.types import Array


@dataclasses.dataclass(frozen=True)
class T5Config:
    """Describes one T5; T5 1.1 has `activations=("gelu", "linear")` and untied embeddings.

    Attributes:
        name: The backbone's name, written into prompt files.
        vocab_size: Rows of the embedding table, V.
        emb_dim: Model width, H.
        num_heads: Attention heads.
        head_dim: Width of one head.
        mlp_dim: Width of the feed-forward layer.
        num_encoder_layers: Encoder blocks.
        num_decoder_layers: Decoder blocks.
        activations: One name per input projection of the feed-forward layer; their outputs are
            multiplied (`("gelu", "linear")` is gated GELU, `("relu",)` is T5 1.0).
        tied_embeddings: Whether the output layer is the embedding table (T5 1.0), scaled by
            `emb_dim ** -0.5`.
        relative_buckets: Buckets of the relative position bias.
        relative_max_distance: Distance in tokens from which all share the last bucket.
        dtype: Compute dtype, "float32" or "bfloat16" ("float64" for exactness tests).
    """

    name: str
    vocab_size: int
    emb_dim: int
    num_heads: int
    head_dim: int
    mlp_dim: int
    num_encoder_layers: int
    num_decoder_layers: int
    activations: tuple[str, ...]
    tied_embeddings: bool
    relative_buckets: int = 32
    relative_max_distance: int = 128
    dtype: str = "float32"


class DecodeState(NamedTuple):
    """Holds what decoding one more token needs.

    Attributes:
        self_cache: Per layer, keys and values of the tokens so far, `[B, L, heads, head_dim]`.
        cross_cache: Per layer, keys and values of the encoder output, `[B, P+T, heads, head_dim]`.
        encoder_bias: `[B, 1, 1, P+T]`, large and negative at padding.
        index: Number of tokens decoded so far.
    """

    self_cache: tuple[Cache, ...]
    cross_cache: tuple[Cache, ...]
    encoder_bias: Array
    index: Array


class T5(nn.Module):
    """A T5 encoder-decoder that takes token ids or embeddings.

    Attributes:
        config: The shape of the model.
    """

    config: T5Config

    def setup(self):
        c = self.config
        self.token_embedder = nn.Embed(
            c.vocab_size,
            c.emb_dim,
            dtype=jnp.dtype(c.dtype),
            embedding_init=nn.initializers.normal(1.0),
        )
        self.encoder = Encoder(c)
        self.decoder = Decoder(c)

    def __call__(self, encoder_tokens: Array, decoder_tokens: Array) -> Array:
        """Returns the logits `[B, L, V]` of tokens `[B, T]` and shifted targets `[B, L]`."""
        mask = encoder_tokens > 0
        encoded = self.encode(self.embed(encoder_tokens), mask, None)
        return self.decode(encoded, mask, decoder_tokens, None)

    def embed(self, tokens: Array) -> Array:
        """Returns the embeddings `[B, T, H]` of tokens `[B, T]` in the compute dtype."""
        return self.token_embedder(tokens)

    def encode(self, embedded: Array, mask: Array, drop: Dropout | None) -> Array:
        """Encodes embeddings.

        Args:
            embedded: `[B, T, H]`, soft prompts included.
            mask: `[B, T]` bool, true where a position is not padding.
            drop: Dropout rate and keys, or None for no dropout.

        Returns:
            `[B, T, H]`, zero at padding.
        """
        return self.encoder(embedded.astype(jnp.dtype(self.config.dtype)), mask, drop)

    def decode(
        self, encoded: Array, encoder_mask: Array, decoder_tokens: Array, drop: Dropout | None
    ) -> Array:
        """Returns logits `[B, L, V]` of every next token given shifted targets `[B, L]`."""
        hidden = self.decoder(
            self.embed(decoder_tokens), encoded, self._encoder_bias(encoder_mask), drop
        )
        return self._logits(hidden)

    def start_decoding(self, encoded: Array, encoder_mask: Array, length: int) -> DecodeState:
        """Returns the state before the first of at most `length` decoded tokens."""
        c = self.config
        shape = (encoded.shape[0], length, c.num_heads, c.head_dim)
        empty = Cache(jnp.zeros(shape, jnp.dtype(c.dtype)), jnp.zeros(shape, jnp.dtype(c.dtype)))
        return DecodeState(
            self_cache=(empty,) * c.num_decoder_layers,
            cross_cache=self.decoder.cross_caches(encoded),
            encoder_bias=self._encoder_bias(encoder_mask),
            index=jnp.zeros((), jnp.int32),
        )

    def decode_step(self, tokens: Array, state: DecodeState) -> tuple[Array, DecodeState]:
        """Decodes one token per row.

        Args:
            tokens: `[B]`, the tokens decoded last (0 at the start).
            state: The state that produced them.

        Returns:
            Logits `[B, V]` of the next token, and the state after it.
        """
        hidden, self_cache = self.decoder.step(self.embed(tokens[:, None]), state)
        state = state._replace(self_cache=self_cache, index=state.index + 1)
        return self._logits(hidden)[:, 0], state

    def _encoder_bias(self, encoder_mask: Array) -> Array:
        return attention_bias(encoder_mask, statistics_dtype(self.config.dtype))

    def _logits(self, hidden: Array) -> Array:
        c = self.config
        if c.tied_embeddings:
            logits = self.token_embedder.attend(hidden * c.emb_dim**-0.5)
        else:
            logits = self.decoder.logits_dense(hidden)
        return logits.astype(statistics_dtype(logits.dtype))


class Encoder(nn.Module):
    """Runs the encoder blocks over embeddings."""

    config: T5Config

    def setup(self):
        c = self.config
        self.relpos_bias = RelativeBias(
            c.num_heads, c.relative_buckets, c.relative_max_distance, True, c.dtype
        )
        self.layers = [EncoderLayer(c, name=f"layers_{i}") for i in range(c.num_encoder_layers)]
        self.encoder_norm = RmsNorm(c.dtype)

    def __call__(self, x: Array, mask: Array, drop: Dropout | None) -> Array:
        positions = jnp.arange(x.shape[1], dtype=jnp.int32)
        bias = self.relpos_bias(positions, positions)
        bias = bias + attention_bias(mask, bias.dtype)
        masks = self._draw_masks(drop, x.shape[1])
        x = dropout(x, masks, "input")
        for i, layer in enumerate(self.layers):
            x = layer(x, bias, masks, str(i))
        x = dropout(self.encoder_norm(x), masks, "output")
        return x * mask[:, :, None].astype(x.dtype)

    def _draw_masks(self, drop: Dropout | None, length: int) -> DropoutMasks | None:
        c = self.config
        features = {"input": c.emb_dim, "output": c.emb_dim}
        for i in range(c.num_encoder_layers):
            features[f"{i}/attention_output"] = c.emb_dim
            features[f"{i}/mlp/hidden"] = c.mlp_dim
            features[f"{i}/mlp_output"] = c.emb_dim
        attention = {f"{i}/attention": length for i in range(c.num_encoder_layers)}
        return draw_masks(drop, "encoder", features, attention, c.num_heads)


class EncoderLayer(nn.Module):
    """One encoder block: self-attention, then feed-forward, each with a pre-norm and a residual."""

    config: T5Config

    def setup(self):
        c = self.config
        self.pre_attention_layer_norm = RmsNorm(c.dtype)
        self.attention = Attention(c.num_heads, c.head_dim, c.emb_dim, c.dtype)
        self.pre_mlp_layer_norm = RmsNorm(c.dtype)
        self.mlp = Mlp(c.mlp_dim, c.emb_dim, c.activations, c.dtype)

    def __call__(self, x: Array, bias: Array, masks: DropoutMasks | None, site: str) -> Array:
        y = self.pre_attention_layer_norm(x)
        y = self.attention(y, self.attention.keys_values(y), bias, masks, f"{site}/attention")
        x = x + dropout(y, masks, f"{site}/attention_output")
        y = self.mlp(self.pre_mlp_layer_norm(x), masks, f"{site}/mlp")
        return x + dropout(y, masks, f"{site}/mlp_output")


class Decoder(nn.Module):
    """Runs the decoder blocks over embedded, shifted targets."""

    config: T5Config

    def setup(self):
        c = self.config
        self.relpos_bias = RelativeBias(
            c.num_heads, c.relative_buckets, c.relative_max_distance, False, c.dtype
        )
        self.layers = [DecoderLayer(c, name=f"layers_{i}") for i in range(c.num_decoder_layers)]
        self.decoder_norm = RmsNorm(c.dtype)
        if not c.tied_embeddings:
            self.logits_dense = nn.Dense(c.vocab_size, use_bias=False, dtype=jnp.dtype(c.dtype))

    def __call__(
        self, x: Array, encoded: Array, encoder_bias: Array, drop: Dropout | None
    ) -> Array:
        positions = jnp.arange(x.shape[1], dtype=jnp.int32)
        bias = self.relpos_bias(positions, positions)
        bias = bias + causal_bias(positions, positions, bias.dtype)
        masks = self._draw_masks(drop, x.shape[1], encoded.shape[1])
        x = dropout(x, masks, "input")
        for i, layer in enumerate(self.layers):
            cross = layer.encoder_decoder_attention.keys_values(encoded)
            x, _ = layer(x, None, bias, cross, encoder_bias, masks, str(i))
        return dropout(self.decoder_norm(x), masks, "output")

    def step(self, x: Array, state: DecodeState) -> tuple[Array, tuple[Cache, ...]]:
        """Runs one position `[B, 1, H]` and returns it with the caches that now hold it."""
        keys = jnp.arange(state.self_cache[0].keys.shape[1], dtype=jnp.int32)
        query = state.index[None]
        bias = self.relpos_bias(query, keys)
        bias = bias + causal_bias(query, keys, bias.dtype)
        caches = []
        for layer, cache, cross in zip(
            self.layers, state.self_cache, state.cross_cache, strict=True
        ):
            x, cache = layer(x, (cache, state.index), bias, cross, state.encoder_bias, None, "")
            caches.append(cache)
        return self.decoder_norm(x), tuple(caches)

    def cross_caches(self, encoded: Array) -> tuple[Cache, ...]:
        """Returns each layer's keys and values of the encoder output `[B, T, H]`."""
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
        cached: tuple[Cache, Array] | None,
        bias: Array,
        cross: Cache,
        cross_bias: Array,
        masks: DropoutMasks | None,
        site: str,
    ) -> tuple[Array, Cache]:
        y = self.pre_self_attention_layer_norm(x)
        cache = self.self_attention.keys_values(y)
        if cached is not None:
            past, index = cached
            cache = Cache(
                jax.lax.dynamic_update_slice_in_dim(past.keys, cache.keys, index, axis=1),
                jax.lax.dynamic_update_slice_in_dim(past.values, cache.values, index, axis=1),
            )
        y = self.self_attention(y, cache, bias, masks, f"{site}/self_attention")
        x = x + dropout(y, masks, f"{site}/self_attention_output")
        y = self.pre_cross_attention_layer_norm(x)
        y = self.encoder_decoder_attention(
            y, cross, cross_bias, masks, f"{site}/encoder_decoder_attention"
        )
        x = x + dropout(y, masks, f"{site}/encoder_decoder_attention_output")
        y = self.mlp(self.pre_mlp_layer_norm(x), masks, f"{site}/mlp")
        return x + dropout(y, masks, f"{site}/mlp_output"), cache
