"""Products of bfloat16: summed in float32, rounded once, forwards and backwards."""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.models.t5.layers import dense


def _inputs(dtype: str) -> tuple[Any, jax.Array]:
    """Returns parameters and activations that bfloat16 holds exactly."""
    rng = np.random.default_rng(0)
    kernel, x = (rng.normal(size=shape) for shape in ((48, 24), (2, 5, 48)))
    kernel, x = (jnp.asarray(a, jnp.bfloat16).astype(dtype) for a in (kernel, x))
    return {"params": {"kernel": kernel}}, x


def _loss(params: Any, x: jax.Array, dtype: str) -> jax.Array:
    product: Any = dense(24, dtype).apply(params, x)
    return jnp.square(product.astype(jnp.float32)).sum()


@pytest.mark.parametrize("of", [0, 1])
def test_values_and_gradients_are_those_of_float32_rounded(of: int):
    def gradient(dtype: str) -> Any:
        return jax.tree.leaves(jax.grad(_loss, of)(*_inputs(dtype), dtype))[0]

    coarse, fine = gradient("bfloat16"), gradient("float32")
    assert coarse.dtype == jnp.bfloat16
    # The product, its gradient and their results are each rounded, by at most 2^-9.
    difference = jnp.abs(coarse.astype(jnp.float32) - fine).max()
    assert 0 < difference < 2**-7 * jnp.abs(fine).max()
    values = [dense(24, dtype).apply(*_inputs(dtype)) for dtype in ("bfloat16", "float32")]
    exact = jnp.asarray(values[1], jnp.bfloat16)
    np.testing.assert_allclose(
        *(np.asarray(v, np.float32) for v in (values[0], exact)), rtol=2**-8, atol=2**-8
    )


def test_every_product_multiplies_bfloat16_and_sums_float32():
    lowered = jax.jit(jax.grad(_loss, (0, 1)), static_argnums=2).lower(
        *_inputs("bfloat16"), "bfloat16"
    )
    kinds = re.findall(
        r"dot_general.*: \(tensor<\S*x(\w+)>, tensor<\S*x(\w+)>\) -> tensor<\S*x(\w+)>",
        lowered.as_text(),
    )
    assert kinds == [("bf16", "bf16", "f32")] * 3


def test_other_dtypes_are_left_to_jax():
    params, x = _inputs("float32")
    product = dense(24, "float32").apply(params, x)
    np.testing.assert_array_equal(product, x @ params["params"]["kernel"])
