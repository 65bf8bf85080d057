"""The trainable state of rows, and what one forward pass over several rows is given."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.types import Array


class RowState(NamedTuple):
    """Everything a step changes; with a leading axis C, the rows of one forward pass.

    Attributes:
        prompt: `[P, H]`, the soft prompt.
        optimizer: Adafactor's state for it.
        step: Steps done, int32.
        failed: Whether a loss or an update was not finite. `prompt` is then the last good one.
    """

    prompt: Array
    optimizer: Any
    step: Array
    failed: Array


class RowSettings(NamedTuple):
    """What a row's steps depend on beside state and data, each `[C]`.

    Attributes:
        learning_rate: Float32.
        seed: Seed of the row's dropout, uint32.
        active: Whether this step updates the row.
    """

    learning_rate: Array
    seed: Array
    active: Array


@functools.partial(jax.jit, static_argnames="optimizer")
def init_state(prompt: Array, optimizer: Adafactor) -> RowState:
    """Returns the state of a row before its first step from `prompt` `[P, H]`."""
    return RowState(
        prompt=prompt,
        optimizer=optimizer.init(prompt),
        step=jnp.zeros((), jnp.int32),
        failed=jnp.zeros((), bool),
    )


def stack(states: list[RowState]) -> RowState:
    """Stacks rows' states on a new leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def unstack(states: RowState, index: int) -> RowState:
    """Returns row `index` of stacked states."""
    return jax.tree.map(lambda leaf: leaf[index], states)


@jax.jit
def replace(states: RowState, index: ArrayLike, row: RowState) -> RowState:
    """Returns stacked states with row `index` replaced."""
    return jax.tree.map(lambda leaf, new: leaf.at[index].set(new), states, row)
