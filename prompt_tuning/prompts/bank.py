"""The prompt bank: every soft prompt that is trained or used at once."""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.types import Array


class Bank(Protocol):
    """Gives each example its soft prompt.

    A bank is a pytree of arrays; every leaf has a leading axis N, one entry for each prompt.
    """

    @property
    def length(self) -> int:
        """The tokens of a prompt, P."""
        ...

    def select(self, prompt_id: Array, embedded: Array, tokens: Array) -> Array:
        """Returns the soft prompt of each example, `[B, P, H]`.

        Args:
            prompt_id: `[B]` int32 in [0, N). An id beyond the bank gives a prompt of NaN, so that
                a wrong id shows instead of borrowing another row's prompt.
            embedded: `[B, T, H]`, the embedded input, for prompts that depend on it.
            tokens: `[B, T]`, the input, 0 at padding.
        """
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class PromptBank:
    """A bank of prompts that are the same for every input.

    Attributes:
        prompts: `[N, P, H]`, of NumPy or of JAX.
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
    """Returns a bank of one prompt without tokens, `[1, 0, H]`: the model reads inputs alone."""
    return PromptBank(np.zeros((1, 0, width), np.float32))
