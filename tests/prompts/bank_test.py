"""Selection from the prompt bank."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts.bank import PromptBank, no_prompt

PROMPTS = np.arange(12.0, dtype=np.float32).reshape(3, 2, 2)
INPUT = (jnp.zeros((3, 5, 2)), jnp.ones((3, 5), jnp.int32))


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray])
def test_every_example_gets_its_prompt(array):
    bank = PromptBank(array(PROMPTS))
    assert bank.length == 2
    np.testing.assert_array_equal(
        bank.select(jnp.array([2, 0, 2], jnp.int32), *INPUT),
        [[[8, 9], [10, 11]], [[0, 1], [2, 3]], [[8, 9], [10, 11]]],
    )


def test_the_gradient_of_a_prompt_is_the_sum_over_its_examples():
    ids = jnp.array([2, 0, 2], jnp.int32)
    weights = jnp.array([1.0, 10.0, 100.0])[:, None, None]
    gradient = jax.grad(lambda bank: jnp.sum(bank.select(ids, *INPUT) * weights))(
        PromptBank(jnp.asarray(PROMPTS))
    )
    np.testing.assert_array_equal(gradient.prompts[:, 0, 0], [10.0, 0.0, 101.0])


def test_an_id_out_of_range_does_not_select_another_prompt():
    picked = PromptBank(PROMPTS).select(jnp.array([1, 3], jnp.int32), *INPUT)
    assert np.isfinite(picked[0]).all() and np.isnan(picked[1]).all()


def test_a_bank_is_a_tree_with_an_entry_for_each_prompt():
    stacked = jax.tree.map(lambda *leaves: np.concatenate(leaves), *[PromptBank(PROMPTS)] * 2)
    assert isinstance(stacked, PromptBank) and stacked.prompts.shape == (6, 2, 2)


def test_no_prompt_has_no_tokens():
    bank = no_prompt(7)
    assert bank.length == 0
    assert bank.select(jnp.zeros(3, jnp.int32), *INPUT).shape == (3, 0, 7)
