"""Every placement, against literal arrays."""

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts.placement import PLACEMENTS

# Prompt tokens are -1 and -2; every input token is embedded as its id.
PROMPTS = jnp.full((3, 2, 1), jnp.array([[-1.0], [-2.0]])[None])
TOKENS = jnp.array([[5, 6, 7, 1], [8, 1, 0, 0], [1, 0, 0, 0]], jnp.int32)

EXPECTED = {
    "prefix": [[-1, -2, 5, 6, 7, 1], [-1, -2, 8, 1, 0, 0], [-1, -2, 1, 0, 0, 0]],
    "after_first_token": [[5, -1, -2, 6, 7, 1], [8, -1, -2, 1, 0, 0], [1, -1, -2, 0, 0, 0]],
    "suffix_before_eos": [[5, 6, 7, -1, -2, 1], [8, -1, -2, 1, 0, 0], [-1, -2, 1, 0, 0, 0]],
    "suffix_after_eos": [[5, 6, 7, 1, -1, -2], [8, 1, -1, -2, 0, 0], [1, -1, -2, 0, 0, 0]],
}


def place(name, dtype=jnp.float32):
    return PLACEMENTS[name](PROMPTS, TOKENS[:, :, None].astype(dtype), TOKENS)


def test_there_are_four_placements():
    assert PLACEMENTS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_each_placement_puts_the_prompt_in_its_place(name):
    embedded, _ = place(name)
    np.testing.assert_array_equal(embedded[:, :, 0], EXPECTED[name])


@pytest.mark.parametrize("name", EXPECTED)
def test_the_mask_is_false_at_padding_alone(name):
    _, mask = place(name)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, np.array(EXPECTED[name]) != 0)


@pytest.mark.parametrize("name", EXPECTED)
def test_prompts_are_cast_to_the_compute_dtype(name):
    embedded, _ = place(name, jnp.bfloat16)
    assert embedded.dtype == jnp.bfloat16


def test_prompts_of_different_examples_stay_apart():
    prompts = jnp.array([[[-1.0]], [[-2.0]], [[-3.0]]])
    embedded = TOKENS[:, :, None].astype(jnp.float32)
    placed, _ = PLACEMENTS["suffix_before_eos"](prompts, embedded, TOKENS)
    np.testing.assert_array_equal(
        placed[:, :, 0], [[5, 6, 7, -1, 1], [8, -2, 1, 0, 0], [-3, 1, 0, 0, 0]]
    )
