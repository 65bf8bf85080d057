"""The prompt bank: all soft prompts that are trained or used together."""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.types import Array


class Bank(Protocol):
    """Gives each example its soft prompt.

    A bank is a pytree of arrays. Every leaf has a leading axis N, with one entry per prompt.
    """

    @property
    def length(self) -> int:
        """The tokens of a prompt, P."""
        ...

    def select(self, prompt_id: Array, embedded: Array, tokens: Array) -> Array:
        """Returns the soft prompt of each example, `[B, P, H]`.

        Args:
            prompt_id: `[B]` int32 in [0, N). An id out of range gives a prompt of NaN, so that it
                shows, instead of another row's prompt.
            embedded: `[B, T, H]`, the embedded input, for prompts that depend on it.
            tokens: `[B, T]`, the input, 0 at padding.
        """
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class PromptBank:
    """A bank of prompts that are the same for every input.

    Attributes:
        prompts: `[N, P, H]`, a NumPy or JAX array.
    """

    prompts: Array | np.ndarray

    @property
    def length(self) -> int:
        """The tokens of a prompt, P."""
        return self.prompts.shape[1]

    def select(self, prompt_id: Array, embedded: Array, tokens: Array) -> Array:
        """Returns the soft prompt of each example; see `Bank.select`."""
        del embedded, tokens
        return jnp.asarray(self.prompts).at[prompt_id].get(mode="fill", fill_value=jnp.nan)


def no_prompt(width: int) -> PromptBank:
    """Returns a bank of one empty prompt, `[1, 0, H]`, for a model without prompts."""
    return PromptBank(np.zeros((1, 0, width), np.float32))
