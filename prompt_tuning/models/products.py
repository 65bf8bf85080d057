"""Products of activations and weights that use a CPU's bfloat16 instructions.

A bfloat16 product is summed in float32 and rounded once. XLA on CPUs uses bfloat16 instructions
only for such products; for others it converts the weights to float32 at every use.
"""

from typing import Any

import jax
import jax.numpy as jnp

from prompt_tuning.types import Array


def dense_product(x: Array, kernel: Array, dimensions: Any, *args: Any, **kwargs: Any) -> Array:
    """Returns `x @ kernel` for `flax.linen.Dense(dot_general=...)`.

    Args:
        x: `[..., m]`.
        kernel: `[m, n]`.
        dimensions: The dimension numbers of that product.
        args: Other arguments of `jax.lax.dot_general`, like `kwargs`.
    """
    if x.dtype == kernel.dtype == jnp.bfloat16:
        return _product(x, kernel)
    return jax.lax.dot_general(x, kernel, dimensions, *args, **kwargs)


@jax.custom_vjp
def _product(x: Array, kernel: Array) -> Array:
    return _summed_in_float32(x, kernel, x.ndim - 1, 0)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _product(x, kernel), (x, kernel)


def _backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    # JAX's own rule would multiply by a float32 gradient, and so convert the weights.
    x, kernel = kept
    x_gradient = _summed_in_float32(gradient, kernel, gradient.ndim - 1, 1)
    rows, row_gradients = (y.reshape(-1, y.shape[-1]) for y in (x, gradient))
    return x_gradient, _summed_in_float32(rows, row_gradients, 0, 0)


_product.defvjp(_forward, _backward)


def _summed_in_float32(a: Array, b: Array, a_axis: int, b_axis: int) -> Array:
    dimensions = (((a_axis,), (b_axis,)), ((), ()))
    product = jax.lax.dot_general(a, b, dimensions, preferred_element_type=jnp.float32)
    return product.astype(a.dtype)
