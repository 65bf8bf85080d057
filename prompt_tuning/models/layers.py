"""The layers T5 is made of: attention, feed-forward, RMS norm, relative position bias, dropout."""

import zlib
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from prompt_tuning.types import Array

_MASKED = -1e10


class Cache(NamedTuple):
    """Keys and values of one attention layer, each `[B, K, heads, head_dim]`."""

    keys: Array
    values: Array


class Dropout(NamedTuple):
    """The dropout of one forward pass.

    Every example has a key of its own, so the mask of an example depends neither on what else is
    in the batch nor on how far it is padded.

    Attributes:
        rate: Probability of zeroing, in [0, 1).
        keys: `[B]` random keys, one per example.
    """

    rate: float
    keys: Array


def dropout(x: Array, drop: Dropout | None, site: str) -> Array:
    """Zeroes features of `x` `[B, T, H]`, the same ones at every position, as T5X does.

    Args:
        x: Activations.
        drop: Rate and per-example keys, or None to return `x`.
        site: Name of the place in the network; different names draw different masks.
    """
    if drop is None or drop.rate == 0.0:
        return x
    keep = _keep(drop, site, (x.shape[-1],))
    return jnp.where(keep[:, None, :], x / (1.0 - drop.rate), jnp.zeros_like(x))


def attention_bias(mask: Array, dtype: DTypeLike) -> Array:
    """Returns `[B, 1, 1, K]`: 0 where `mask` `[B, K]` is true, large and negative elsewhere."""
    return jnp.where(mask, 0.0, _MASKED).astype(dtype)[:, None, None, :]


def causal_bias(query_positions: Array, key_positions: Array, dtype: DTypeLike) -> Array:
    """Returns `[1, 1, Q, K]`: 0 where the key is not after the query, large and negative after."""
    visible = key_positions[None, :] <= query_positions[:, None]
    return jnp.where(visible, 0.0, _MASKED).astype(dtype)[None, None]


def statistics_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Returns the dtype for means, softmax and losses of `dtype` activations: float32 or wider."""
    return jnp.promote_types(dtype, jnp.float32)


class RmsNorm(nn.Module):
    """Divides by the root mean square over features and scales; computed in at least float32."""

    dtype: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        x = x.astype(statistics_dtype(x.dtype))
        x = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)
        return (x * scale.astype(x.dtype)).astype(jnp.dtype(self.dtype))


class Attention(nn.Module):
    """Multi-head attention without biases and without the 1/sqrt(head_dim) factor, as T5 has it."""

    num_heads: int
    head_dim: int
    emb_dim: int
    dtype: str

    def setup(self):
        inner = self.num_heads * self.head_dim
        # Without the factor in attention, the query's initial scale carries it.
        self.query = _dense(inner, self.dtype, scale=1.0 / self.head_dim)
        self.key = _dense(inner, self.dtype)
        self.value = _dense(inner, self.dtype)
        self.out = _dense(self.emb_dim, self.dtype)

    def keys_values(self, x: Array) -> Cache:
        """Returns keys and values of `x` `[B, K, H]`."""
        return Cache(self._heads(self.key(x)), self._heads(self.value(x)))

    def __call__(
        self, x: Array, cache: Cache, bias: Array, drop: Dropout | None, site: str
    ) -> Array:
        """Attends from `x` `[B, Q, H]` to `cache`; `bias` broadcasts to `[B, heads, Q, K]`."""
        scores = jnp.einsum("bqhd,bkhd->bhqk", self._heads(self.query(x)), cache.keys)
        scores = scores.astype(statistics_dtype(scores.dtype))
        weights = jax.nn.softmax(scores + bias.astype(scores.dtype), axis=-1)
        if drop is not None and drop.rate > 0.0:
            keep = _keep_keys(drop, site, self.num_heads, weights.shape[-1])
            weights = jnp.where(keep[:, :, None, :], weights / (1.0 - drop.rate), 0.0)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights.astype(cache.values.dtype), cache.values)
        return self.out(mixed.reshape(*mixed.shape[:2], -1))

    def _heads(self, x: Array) -> Array:
        return x.reshape(*x.shape[:-1], self.num_heads, self.head_dim)


class Mlp(nn.Module):
    """The feed-forward layer: the product of one activation per input projection, then one out."""

    mlp_dim: int
    emb_dim: int
    activations: tuple[str, ...]
    dtype: str

    def setup(self):
        gated = len(self.activations) > 1
        names = [f"wi_{i}" if gated else "wi" for i in range(len(self.activations))]
        self.wi = [_dense(self.mlp_dim, self.dtype, name=name) for name in names]
        self.wo = _dense(self.emb_dim, self.dtype)

    def __call__(self, x: Array, drop: Dropout | None, site: str) -> Array:
        hidden = None
        for name, wi in zip(self.activations, self.wi, strict=True):
            y = wi(x) if name == "linear" else getattr(jax.nn, name)(wi(x))
            hidden = y if hidden is None else hidden * y
        assert hidden is not None
        return self.wo(dropout(hidden, drop, f"{site}/hidden"))


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
    # The epsilon is T5's own: it keeps log(0) finite, and moves no bucket edge.
    ratio = jnp.log(distance.astype(jnp.float32) / exact + np.finfo(np.float32).eps)
    large = exact + (ratio / np.log(max_distance / exact) * (num_buckets - exact)).astype(jnp.int32)
    return offset + jnp.where(distance < exact, distance, jnp.minimum(large, num_buckets - 1))


def _dense(features: int, dtype: str, *, scale: float = 1.0, name: str | None = None) -> nn.Dense:
    init = nn.initializers.variance_scaling(scale, "fan_in", "normal")
    return nn.Dense(features, False, jnp.dtype(dtype), kernel_init=init, name=name)


def _site_keys(drop: Dropout, site: str) -> Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, zlib.crc32(site.encode())))(drop.keys)


def _keep(drop: Dropout, site: str, shape: tuple[int, ...]) -> Array:
    return jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - drop.rate, shape))(
        _site_keys(drop, site)
    )


def _keep_keys(drop: Dropout, site: str, num_heads: int, length: int) -> Array:
    # One key per head: the first K draws of a key do not depend on how many are drawn, so
    # padding the keys of attention leaves the mask of the real ones as it was.
    keys = jax.vmap(lambda key: jax.random.split(key, num_heads))(_site_keys(drop, site))
    draw = jax.vmap(lambda key: jax.random.bernoulli(key, 1.0 - drop.rate, (length,)))
    return jax.vmap(draw)(keys)
