"""Rows' states are stacked and taken apart without a change."""

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.training.state import init_state, replace, stack, unstack
from tests.training import toy


def test_rows_are_stacked_replaced_and_taken_apart():
    rows = [init_state(jnp.full((3, 4), float(i)), toy.config().step.optimizer) for i in range(3)]
    stacked = replace(stack(rows[:2]), 1, rows[2]._replace(step=jnp.int32(7)))
    assert stacked.prompt.shape == (2, 3, 4)
    assert stacked.step.tolist() == [0, 7]
    for one, other in zip(
        jax.tree.leaves(unstack(stacked, 0)), jax.tree.leaves(rows[0]), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(unstack(stacked, 1).prompt, rows[2].prompt)
