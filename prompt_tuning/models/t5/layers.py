"""T5's layers: attention, feed-forward, RMS norm, relative position bias, dropout."""

import functools
import math
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from prompt_tuning.models.products import dense_product
from prompt_tuning.models.prompted import Dropout
from prompt_tuning.types import Array

NEURONS = "neurons"
"""The name under which feed-forward layers sow their activations."""

_MASKED = -1e10


class Cache(NamedTuple):
    """Keys and values of one attention layer, each `[B, heads, K, head_dim]`."""

    keys: Array
    values: Array


class DropoutMasks(NamedTuple):
    """Dropout factors of the layers of one stack: 0 to drop, 1 / (1 - rate) to keep.

    Attributes:
        features: `[B, features]` by site, the name of a place in the network.
        keys: `[B, K, heads]` by attention layer.
    """

    features: dict[str, Array]
    keys: dict[str, Array]

    def of_layer(self, layer: int) -> "DropoutMasks":
        """Returns the masks of sites `<layer>/<site>` by `<site>`."""
        start = f"{layer}/"
        return DropoutMasks(
            *(
                {site.removeprefix(start): m for site, m in masks.items() if site.startswith(start)}
                for masks in self
            )
        )


def draw_masks(
    drop: Dropout | None,
    stack: str,
    features: Mapping[str, int],
    attention: Mapping[str, int],
    num_heads: int,
) -> DropoutMasks | None:
    """Draws all masks of a stack at once, which compiles much faster than one draw per layer.

    Args:
        drop: Rate and per-example keys, or None for no dropout.
        stack: Name of the stack; different names draw different masks.
        features: Width of each site where features are dropped.
        attention: Number of keys K of each attention layer.
        num_heads: Attention heads.
    """
    if drop is None or drop.rate == 0.0:
        return None
    ends = np.cumsum(list(features.values()))
    width, columns, length = int(ends[-1]), num_heads * len(attention), max(attention.values())

    def draw(key: Array) -> Array:
        key = jax.random.fold_in(key, zlib.crc32(stack.encode()))
        return jax.random.bernoulli(key, 1.0 - drop.rate, (width + length * columns,))

    # The first draws of a random key do not depend on how many are drawn. The draws for the first K
    # attention keys come before those for the next, so padding leaves their masks unchanged.
    kept = jax.vmap(draw)(drop.keys)
    factors = jnp.where(kept, 1.0 / (1.0 - drop.rate), 0.0)
    by_key = factors[:, width:].reshape(-1, length, len(attention), num_heads)
    return DropoutMasks(
        features=dict(zip(features, jnp.split(factors[:, :width], ends[:-1], axis=1), strict=True)),
        keys={name: by_key[:, :size, i] for i, (name, size) in enumerate(attention.items())},
    )


def dropout(x: Array, masks: DropoutMasks | None, site: str) -> Array:
    """Zeroes features of `x` `[B, T, H]`, the same ones at every position, as T5X does.

    Args:
        x: Activations.
        masks: Dropout masks, or None to return `x`.
        site: Name of the place in the network.
    """
    if masks is None:
        return x
    return x * masks.features[site][:, None, :].astype(x.dtype)


def attention_bias(mask: Array, dtype: DTypeLike) -> Array:
    """Returns `[B, 1, 1, K]`: 0 where `mask` `[B, K]` is true, large and negative elsewhere."""
    return jnp.where(mask, 0.0, _MASKED).astype(dtype)[:, None, None, :]


def causal_bias(query_positions: Array, key_positions: Array, dtype: DTypeLike) -> Array:
    """Returns `[1, 1, Q, K]`: 0 where the key is not after the query, large and negative after."""
    visible = key_positions[None, :] <= query_positions[:, None]
    return jnp.where(visible, 0.0, _MASKED).astype(dtype)[None, None]


def statistics_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Returns the dtype for means, softmax and losses of `dtype` activations: float32 or wider."""
    return jnp.dtype(jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32)


class RmsNorm(nn.Module):
    """Divides by the root mean square over features and scales; computed in at least float32."""

    dtype: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Normalizes `x` `[B, T, H]`."""
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x = x.astype(statistics_dtype(x.dtype))
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)
        return (x * scale.astype(x.dtype)[None, None, :]).astype(jnp.dtype(self.dtype))


class Attention(nn.Module):
    """T5's multi-head attention, without biases and without the factor 1/sqrt(head_dim)."""

    num_heads: int
    head_dim: int
    emb_dim: int
    dtype: str

    def setup(self):
        inner = self.num_heads * self.head_dim
        # The query's initial scale makes up for the missing factor.
        self.query = dense(inner, self.dtype, scale=1.0 / self.head_dim)
        self.key = dense(inner, self.dtype)
        self.value = dense(inner, self.dtype)
        self.out = dense(self.emb_dim, self.dtype)

    def keys_values(self, x: Array) -> Cache:
        """Returns keys and values of `x` `[B, K, H]`."""
        # Heads before keys, the order of the products, so that no step transposes the cache.
        return Cache(*(jnp.swapaxes(self._heads(y), 1, 2) for y in (self.key(x), self.value(x))))

    def __call__(
        self, x: Array, cache: Cache, bias: Array, masks: DropoutMasks | None, site: str
    ) -> Array:
        """Attends from `x` `[B, Q, H]` to `cache`; `bias` broadcasts to `[B, heads, Q, K]`."""
        scores = jnp.einsum("bqhd,bhkd->bhqk", self._heads(self.query(x)), cache.keys)
        weights = _weights(scores, bias)
        values = cache.values
        if masks is not None:
            # All queries of a head drop the same keys, so dropping their values is equivalent.
            kept = jnp.swapaxes(masks.keys[site], 1, 2)[..., None]
            values = values * kept.astype(values.dtype)
        # XLA's fast CPU products need the right side as "kd"; for "bqhd" they would transpose it.
        mixed = jnp.einsum("bhqk,bhkd->bhqd", weights.astype(values.dtype), values)
        mixed = jnp.swapaxes(mixed, 1, 2)
        return self.out(mixed.reshape(*mixed.shape[:2], -1))

    def attend(
        self, x: Array, memory: Array | Cache, bias: Array, masks: DropoutMasks | None, site: str
    ) -> Array:
        """Attends from `x` `[B, Q, H]` to `memory` `[B, K, H]`, or to its keys and values.

        If Q is less than `head_dim`, it is cheaper to apply the projections of keys and values to
        queries and mixtures than to all of `memory`:

            q (memory W_k)^T = (q W_k^T) memory^T    and    w (memory W_v) = (w memory) W_v
        """
        if isinstance(memory, Cache):
            return self(x, memory, bias, masks, site)
        if x.shape[1] >= self.head_dim or self.is_initializing():
            return self(x, self.keys_values(memory), bias, masks, site)
        queries = jnp.einsum("bqhd,mhd->bhqm", self._heads(self.query(x)), self._kernel(self.key))
        weights = _weights(jnp.einsum("bhqm,bkm->bhqk", queries, memory), bias)
        if masks is not None:
            dropped = jnp.swapaxes(masks.keys[site], 1, 2)[:, :, None, :]
            weights = weights * dropped.astype(weights.dtype)
        mixed = jnp.einsum("bhqk,bkm->bhqm", weights.astype(memory.dtype), memory)
        mixed = jnp.einsum("bhqm,mhd->bqhd", mixed, self._kernel(self.value))
        return self.out(mixed.reshape(*mixed.shape[:2], -1))

    def _kernel(self, dense: nn.Dense) -> Array:
        kernel = dense.variables["params"]["kernel"].astype(jnp.dtype(self.dtype))
        return self._heads(kernel)

    def _heads(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.num_heads, self.head_dim)


class Mlp(nn.Module):
    """The feed-forward layer: multiplies one activation per input projection, then projects."""

    mlp_dim: int
    emb_dim: int
    activations: tuple[str, ...]
    dtype: str

    def setup(self):
        gated = len(self.activations) > 1
        names = [f"wi_{i}" if gated else "wi" for i in range(len(self.activations))]
        self.wi = [dense(self.mlp_dim, self.dtype, name=name) for name in names]
        self.wo = dense(self.emb_dim, self.dtype)

    def __call__(self, x: Array, masks: DropoutMasks | None, site: str) -> Array:
        """Maps `x` `[B, T, H]` to `[B, T, H]`."""
        branches = [wi(x) for wi in self.wi]
        # A no-op unless the collection "intermediates" is mutable.
        self.sow("intermediates", NEURONS, branches[self._gate])
        # Recomputing it in the backward pass is faster than keeping its intermediate results.
        hidden = jax.checkpoint(self._multiply)(branches)
        return self.wo(dropout(hidden, masks, f"{site}/hidden"))

    @property
    def _gate(self) -> int:
        """The first branch with a nonlinearity; a neuron is active where it is positive."""
        return next((i for i, name in enumerate(self.activations) if name != "linear"), 0)

    def _multiply(self, branches: list[Array]) -> Array:
        """Returns the product of the activations of `branches`, each `[B, T, mlp_dim]`."""
        activations = [
            y if name == "linear" else getattr(jax.nn, name)(y)
            for name, y in zip(self.activations, branches, strict=True)
        ]
        return functools.reduce(jnp.multiply, activations)


class RelativeBias(nn.Module):
    """T5's bucketed relative position bias (Raffel et al. 2020, section 2.1)."""

    num_heads: int
    num_buckets: int
    max_distance: int
    bidirectional: bool
    dtype: str

    @nn.compact
    def __call__(self, query_positions: Array, key_positions: Array) -> Array:
        """Returns the bias `[1, heads, Q, K]` of positions `[Q]` and `[K]`, float32 or wider."""
        table = self.param(
            "rel_embedding",
            nn.initializers.normal(self.num_heads**-0.5),
            (self.num_heads, self.num_buckets),
            jnp.float32,
        )
        buckets = relative_buckets(
            key_positions[None, :] - query_positions[:, None],
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
            bidirectional=self.bidirectional,
        )
        return jnp.asarray(table, statistics_dtype(self.dtype))[:, buckets][None]


def relative_buckets(
    distance: Array, *, num_buckets: int, max_distance: int, bidirectional: bool
) -> Array:
    """Maps distances (key position - query position) to buckets.

    Half of the buckets hold one small distance each; the others grow logarithmically up to
    `max_distance`. With `bidirectional`, keys after the query use the upper half of the buckets;
    without, they all share bucket 0.
    """
    offset = jnp.zeros_like(distance)
    if bidirectional:
        num_buckets //= 2
        offset = jnp.where(distance > 0, num_buckets, 0)
        distance = jnp.abs(distance)
    else:
        distance = jnp.maximum(-distance, 0)
    exact = num_buckets // 2
    # T5's epsilon keeps log(0) finite and moves no bucket edge.
    ratio = jnp.log(distance.astype(jnp.float32) / exact + float(np.finfo(np.float32).eps))
    octaves = ratio / math.log(max_distance / exact)
    large = exact + (octaves * (num_buckets - exact)).astype(jnp.int32)
    return offset + jnp.where(distance < exact, distance, jnp.minimum(large, num_buckets - 1))


def _weights(scores: Array, bias: Array) -> Array:
    """Returns the attention weights of `scores` `[B, heads, Q, K]`, in at least float32."""
    scores = scores.astype(statistics_dtype(scores.dtype))
    return jax.nn.softmax(scores + bias.astype(scores.dtype), axis=-1)


def dense(features: int, dtype: str, *, scale: float = 1.0, name: str | None = None) -> nn.Dense:
    """Returns a projection without biases; `scale` is the variance scale of its initializer."""
    init = nn.initializers.variance_scaling(scale, "fan_in", "normal")
    return nn.Dense(
        features,
        use_bias=False,
        dtype=jnp.dtype(dtype),
        kernel_init=init,
        dot_general=dense_product,
        name=name,
    )
