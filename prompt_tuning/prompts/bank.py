"""The prompt bank: every soft prompt that is trained or used at once, as one array."""

import jax.numpy as jnp
import numpy as np

from prompt_tuning.types import Array


def select(bank: Array, prompt_id: Array) -> Array:
    """Picks each example's soft prompt.

    Args:
        bank: `[N, P, H]`.
        prompt_id: `[B]` int32 in [0, N). An id beyond the bank picks a prompt of NaN, so that a
            wrong id shows instead of borrowing another row's prompt.

    Returns:
        `[B, P, H]`.
    """
    return bank.at[prompt_id].get(mode="fill", fill_value=jnp.nan)


def no_prompt(width: int) -> np.ndarray:
    """Returns a bank of one prompt without tokens, `[1, 0, H]`: the model reads inputs alone."""
    return np.zeros((1, 0, width), np.float32)
