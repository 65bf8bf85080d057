"""One step of rows that share it, as a function of arrays."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.models.family import PromptedModel
from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.training.microbatches import Microbatcher
from prompt_tuning.training.step import (
    RowSettings,
    RowState,
    StepConfig,
    StepMetrics,
    add_microbatches,
    update_rows,
    zero_sums,
)
from prompt_tuning.types import Params


@functools.cache
def _compiled(model: PromptedModel, parameterization: Parameterization, config: StepConfig):
    """Returns the parts of a step, shared by tests so that each shape is compiled once."""
    shared = {"parameterization": parameterization, "config": config}
    return (
        jax.jit(functools.partial(add_microbatches, model=model, **shared)),
        jax.jit(functools.partial(update_rows, **shared)),
    )


def settings(rates: Sequence[float], seeds: Sequence[int]) -> RowSettings:
    """Returns the settings of active rows without constants."""
    return RowSettings(
        given=(),
        learning_rate=jnp.asarray(rates, jnp.float32),
        seed=jnp.asarray(seeds, jnp.uint32),
        active=jnp.ones(len(rates), bool),
    )


def take_step(
    model: PromptedModel,
    config: StepConfig,
    params: Params,
    state: RowState,
    batches: Mapping[int, HostBatch],
    of_rows: RowSettings,
    *,
    size: int,
    mixed: bool = True,
    parameterization: Parameterization | None = None,
) -> tuple[RowState, StepMetrics]:
    """Advances rows by a step, in microbatches of `size` padded to the longest example.

    They train prompts `[P, H]` where no parameterization is given.
    """
    if parameterization is None:
        parameterization = PromptTable(state.trainable.shape[1])
    add, update = _compiled(model, parameterization, config)
    shape = (
        max(batch.encoder_tokens.shape[1] for batch in batches.values()),
        max(batch.targets.shape[1] for batch in batches.values()),
    )
    microbatcher = Microbatcher(
        {shape: size},
        slots=len(state.step),
        batch_size=max(len(batch.targets) for batch in batches.values()),
        prompt_length=parameterization.length,
        mixed=mixed,
    )
    sums = zero_sums(state.trainable, of_rows.given, parameterization)
    for i, (microbatches, count) in enumerate(microbatcher.split(batches).microbatches):
        sums = add(sums, params, state, of_rows, microbatches, np.int32(count), i == 0)
    return update(state, sums, of_rows)


def stack(states: Sequence[RowState]) -> RowState:
    """Stacks rows' states on a new leading axis, on the device."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def unstack(states: RowState, index: int) -> RowState:
    """Returns row `index` of stacked states."""
    return jax.tree.map(lambda leaf: leaf[index], states)
