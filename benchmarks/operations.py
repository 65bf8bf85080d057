"""Counts the floating-point operations of T5's matrix products from shapes.

A product of [m, k] and [k, n] counts as 2 m k n. Softmax, norms and activations are not counted:
they take time, but hardly any operations.
"""

import dataclasses

from prompt_tuning.models.t5.config import T5Config


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of a batch: B examples, P prompt, T input and L target tokens, padding included."""

    batch: int
    prompt: int
    inputs: int
    targets: int


def training(config: T5Config, sizes: Sizes) -> int:
    """Returns the operations of one update of a soft prompt before the encoder's input.

    The forward pass has each product once. The backward pass has each product with a frozen matrix
    once more (for the gradient of its input) and each product of attention twice more, because both
    of its sides carry gradients. The first decoder layer does not depend on the prompt before its
    cross-attention: its self-attention and its queries have no backward pass.
    """
    S, L = sizes.prompt + sizes.inputs, sizes.targets
    encoder = 2 * (_projections(config, S, 4) + _mlp(config, S)) + 3 * _attention(config, S, S)
    own = _projections(config, L, 4), _attention(config, L, L)
    cross = _cross_attention(config, L, S)
    decoder = 2 * (own[0] + cross[0] + _mlp(config, L)) + 3 * (own[1] + cross[1])
    no_gradient = own[0] + 2 * own[1] + cross[1] // 2
    no_gradient += _projections(config, L, 2 if _folds(config, L) else 1)
    return sizes.batch * (
        config.num_encoder_layers * encoder
        + config.num_decoder_layers * decoder
        - no_gradient
        + 2 * _logits(config, L)
    )


def greedy(config: T5Config, sizes: Sizes) -> int:
    """Returns the operations of encoding a batch and decoding L tokens greedily.

    Each step attends to all L places of the cache; those not yet decoded are masked.
    """
    S, L = sizes.prompt + sizes.inputs, sizes.targets
    encoder = _projections(config, S, 4) + _mlp(config, S) + _attention(config, S, S)
    own = _projections(config, L, 4) + _attention(config, L, L)
    cross = L * sum(_cross_attention(config, 1, S))
    decoder = own + cross + _mlp(config, L)
    return sizes.batch * (
        config.num_encoder_layers * encoder
        + config.num_decoder_layers * decoder
        + _logits(config, L)
    )


def _projections(config: T5Config, tokens: int, count: int) -> int:
    """Returns the operations of `count` projections between the model's width and the heads'."""
    return count * 2 * tokens * config.emb_dim * config.num_heads * config.head_dim


def _attention(config: T5Config, queries: int, keys: int) -> int:
    """Returns the operations of scores and of weighted values, half of the total each."""
    return 2 * 2 * queries * keys * config.num_heads * config.head_dim


def _folds(config: T5Config, queries: int) -> bool:
    """Whether the projections of keys and values are applied on the side of the queries."""
    return queries < config.head_dim


def _cross_attention(config: T5Config, queries: int, keys: int) -> tuple[int, int]:
    """Returns the operations of products with frozen matrices, and of those without."""
    if _folds(config, queries):
        wide = 2 * 2 * queries * keys * config.num_heads * config.emb_dim
        return _projections(config, queries, 4), wide
    frozen = _projections(config, queries, 2) + _projections(config, keys, 2)
    return frozen, _attention(config, queries, keys)


def _mlp(config: T5Config, tokens: int) -> int:
    matrices = len(config.activations) + 1
    return matrices * 2 * tokens * config.emb_dim * config.mlp_dim


def _logits(config: T5Config, tokens: int) -> int:
    return 2 * tokens * config.emb_dim * config.vocab_size
