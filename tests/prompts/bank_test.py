"""Selection from the prompt bank."""

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.prompts.bank import select

BANK = jnp.arange(12.0).reshape(3, 2, 2)


def test_every_example_gets_its_prompt():
    np.testing.assert_array_equal(
        select(BANK, jnp.array([2, 0, 2], jnp.int32)),
        [[[8, 9], [10, 11]], [[0, 1], [2, 3]], [[8, 9], [10, 11]]],
    )


def test_the_gradient_of_a_prompt_is_the_sum_over_its_examples():
    ids = jnp.array([2, 0, 2], jnp.int32)
    weights = jnp.array([1.0, 10.0, 100.0])[:, None, None]
    gradient = jax.grad(lambda bank: jnp.sum(select(bank, ids) * weights))(BANK)
    np.testing.assert_array_equal(gradient[:, 0, 0], [10.0, 0.0, 101.0])


def test_an_id_beyond_the_bank_does_not_borrow_a_prompt():
    picked = select(BANK, jnp.array([1, 3], jnp.int32))
    assert np.isfinite(picked[0]).all() and np.isnan(picked[1]).all()
