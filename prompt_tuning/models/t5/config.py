"""The config of a T5."""

import dataclasses
from typing import ClassVar

ACTIVATIONS = ("gelu", "relu", "silu", "linear")
"""Activations of the feed-forward layer."""

DTYPES = ("float32", "bfloat16", "float64")
"""Dtypes that a model can compute in."""


@dataclasses.dataclass(frozen=True)
class T5Config:
    """The shape of a T5. T5 1.1 has `activations=("gelu", "linear")` and untied embeddings.

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
        relative_max_distance: Distance in tokens from which all distances share the last bucket.
        dtype: Compute dtype, "float32" or "bfloat16" ("float64" for exactness tests).
        family: The name of the model family.
    """

    family: ClassVar[str] = "t5"

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
