"""Relative positions, masks and dropout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.t5.layers import (
    Attention,
    Dropout,
    attention_bias,
    causal_bias,
    draw_masks,
    dropout,
    relative_buckets,
    statistics_dtype,
)

WIDTHS = {"input": 5, "output": 3}


def masks(keys, lengths, *, stack="encoder", rate=0.4):
    draw = jax.jit(lambda keys: draw_masks(Dropout(rate, keys), stack, WIDTHS, lengths, 2))
    drawn = draw(keys)
    assert drawn is not None
    return drawn


def keys(count):
    return jax.random.split(jax.random.key(0), count)


def test_bidirectional_buckets():
    distances = jnp.array([0, 1, 7, 8, 11, 12, 16, 64, 127, 500, -1, -7, -8, -500], jnp.int32)
    buckets = relative_buckets(distances, num_buckets=32, max_distance=128, bidirectional=True)
    expected = [0, 17, 23, 24, 24, 25, 26, 30, 31, 31, 1, 7, 8, 15]
    np.testing.assert_array_equal(buckets, expected)


def test_causal_buckets_share_one_for_the_future():
    distances = jnp.array([5, 0, -1, -15, -16, -19, -64, -500], jnp.int32)
    buckets = relative_buckets(distances, num_buckets=32, max_distance=128, bidirectional=False)
    np.testing.assert_array_equal(buckets, [0, 0, 1, 15, 16, 17, 26, 31])


def test_biases_hide_padding_and_later_positions():
    np.testing.assert_array_equal(
        attention_bias(jnp.array([[True, False]]), jnp.float32) < -1e9, [[[[False, True]]]]
    )
    now, all_keys = jnp.array([1], jnp.int32), jnp.arange(3, dtype=jnp.int32)
    np.testing.assert_array_equal(
        causal_bias(now, all_keys, jnp.float32) < -1e9, [[[[False, False, True]]]]
    )


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("bfloat16", "float32"), ("float32", "float32"), ("float64", "float64")],
)
def test_statistics_are_at_least_float32(dtype, expected):
    assert statistics_dtype(dtype) == np.dtype(expected)


def test_dropout_keeps_at_its_rate_and_scales_up():
    drawn = masks(keys(4000), {"0/attention": 3})
    features = np.concatenate([np.asarray(x).ravel() for x in drawn.features.values()])
    for factors in (features, np.asarray(drawn.keys["0/attention"])):
        np.testing.assert_allclose(np.unique(factors), [0.0, 1 / 0.6], rtol=1e-6)
        assert abs(factors.mean() - 1.0) < 0.02
    dropped = dropout(jnp.full((4000, 2, 5), 3.0), drawn, "input")
    np.testing.assert_array_equal(dropped[:, 0], 3.0 * drawn.features["input"])


def test_dropout_is_the_same_at_every_position_and_differs_by_site_and_stack():
    drawn = masks(keys(50), {"0/attention": 3, "1/attention": 3})
    dropped = dropout(jnp.ones((50, 4, 5)), drawn, "input")
    np.testing.assert_array_equal(dropped, jnp.repeat(dropped[:, :1], 4, axis=1))
    assert np.any(drawn.features["input"][:, :3] != drawn.features["output"])
    assert np.any(drawn.keys["0/attention"] != drawn.keys["1/attention"])
    assert np.any(drawn.keys["0/attention"][..., 0] != drawn.keys["0/attention"][..., 1])
    other = masks(keys(50), {"0/attention": 3, "1/attention": 3}, stack="decoder")
    assert np.any(drawn.features["input"] != other.features["input"])


def test_dropout_masks_belong_to_the_example():
    drawn = masks(keys(6), {"0/attention": 3})
    alone = masks(keys(6)[2:3], {"0/attention": 3})
    np.testing.assert_array_equal(alone.features["input"][0], drawn.features["input"][2])
    np.testing.assert_array_equal(alone.keys["0/attention"][0], drawn.keys["0/attention"][2])


def test_padding_leaves_the_masks_of_real_keys_as_they_are():
    short = masks(keys(6), {"0/self": 3, "0/cross": 4})
    long = masks(keys(6), {"0/self": 7, "0/cross": 9})
    np.testing.assert_array_equal(long.features["output"], short.features["output"])
    np.testing.assert_array_equal(long.keys["0/self"][:, :3], short.keys["0/self"])
    np.testing.assert_array_equal(long.keys["0/cross"][:, :4], short.keys["0/cross"])


def test_no_dropout_is_the_identity():
    assert draw_masks(None, "encoder", WIDTHS, {"0/attention": 3}, 2) is None
    assert draw_masks(Dropout(0.0, keys(2)), "encoder", WIDTHS, {"0/attention": 3}, 2) is None
    x = jnp.ones((2, 3, 5))
    assert dropout(x, None, "input") is x


@pytest.mark.parametrize("queries", [1, 3, 8])
def test_attending_to_a_memory_equals_attending_to_its_keys_and_values(queries):
    rng = np.random.default_rng(0)
    layer = Attention(num_heads=2, head_dim=8, emb_dim=16, dtype="float32")
    x = jnp.asarray(rng.normal(size=(4, queries, 16)), jnp.float32)
    memory = jnp.asarray(rng.normal(size=(4, 5, 16)), jnp.float32)
    bias = attention_bias(
        jnp.arange(5, dtype=jnp.int32)[None] < jnp.array([[5], [3], [1], [4]]), jnp.float32
    )
    kept = masks(keys(4), {"0/attention": 5})

    def projected(layer, x):
        return layer(x, layer.keys_values(memory), bias, kept, "0/attention")

    variables = layer.init(jax.random.key(0), x, memory, bias, kept, "0/attention", method="attend")
    attended = layer.apply(variables, x, memory, bias, kept, "0/attention", method="attend")
    expected = np.asarray(layer.apply(variables, x, method=projected))
    np.testing.assert_allclose(np.asarray(attended), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(expected).mean() > 0.1
