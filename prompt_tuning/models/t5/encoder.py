"""T5's encoder, from embeddings to hidden states."""

import flax.linen as nn
import jax.numpy as jnp

from prompt_tuning.models.prompted import Dropout
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.layers import (
    Attention,
    DropoutMasks,
    Mlp,
    RelativeBias,
    RmsNorm,
    attention_bias,
    draw_masks,
    dropout,
)
from prompt_tuning.types import Array


class Encoder(nn.Module):
    """Runs the encoder blocks over embeddings; `remat` as in `T5`."""

    config: T5Config
    remat: bool

    def setup(self):
        c = self.config
        self.relpos_bias = RelativeBias(
            c.num_heads, c.relative_buckets, c.relative_max_distance, True, c.dtype
        )
        # As a separate jitted function, a block is traced once, not once per layer.
        layer = nn.jit(nn.remat(EncoderLayer) if self.remat else EncoderLayer)
        self.layers = [layer(c, name=f"layers_{i}") for i in range(c.num_encoder_layers)]
        self.encoder_norm = RmsNorm(c.dtype)

    def __call__(self, x: Array, mask: Array, drop: Dropout | None) -> Array:
        positions = jnp.arange(x.shape[1], dtype=jnp.int32)
        bias = self.relpos_bias(positions, positions)
        bias = bias + attention_bias(mask, bias.dtype)
        masks = self._draw_masks(drop, x.shape[1])
        x = dropout(x, masks, "input")
        for i, layer in enumerate(self.layers):
            x = layer(x, bias, masks and masks.of_layer(i))
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

    def __call__(self, x: Array, bias: Array, masks: DropoutMasks | None) -> Array:
        y = self.pre_attention_layer_norm(x)
        y = self.attention(y, self.attention.keys_values(y), bias, masks, "attention")
        x = x + dropout(y, masks, "attention_output")
        y = self.mlp(self.pre_mlp_layer_norm(x), masks, "mlp")
        return x + dropout(y, masks, "mlp_output")
