"""One step of rows that share it, as a function of arrays."""

import functools
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.models.family import PromptedModel
from prompt_tuning.training.passes import Cutter
from prompt_tuning.training.state import RowSettings, RowState
from prompt_tuning.training.step import (
    StepConfig,
    StepMetrics,
    add_passes,
    no_gradient,
    update_rows,
)
from prompt_tuning.types import Params


@functools.cache
def _compiled(model: PromptedModel, config: StepConfig):
    """Returns the parts of a step, shared by tests so that each shape is compiled once."""
    return (
        jax.jit(functools.partial(add_passes, model=model, config=config)),
        jax.jit(functools.partial(update_rows, config=config)),
    )


def settings(rates: Sequence[float], seeds: Sequence[int]) -> RowSettings:
    """Returns the settings of active rows."""
    return RowSettings(
        jax.numpy.asarray(rates, jax.numpy.float32),
        jax.numpy.asarray(seeds, jax.numpy.uint32),
        jax.numpy.ones(len(rates), bool),
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
) -> tuple[RowState, StepMetrics]:
    """Advances rows by a step, in passes of `size` examples padded to the longest of them."""
    add, update = _compiled(model, config)
    shape = (
        max(batch.encoder_tokens.shape[1] for batch in batches.values()),
        max(batch.targets.shape[1] for batch in batches.values()),
    )
    most = max(len(batch.targets) for batch in batches.values())
    cutter = Cutter(
        {shape: size},
        slots=len(state.step),
        batch_size=most,
        prompt_length=state.prompt.shape[1],
        mixed=mixed,
    )
    gradient = no_gradient(state.prompt)
    for passes, count in cutter.cut(batches).passes:
        gradient = add(gradient, params, state, of_rows, passes, np.int32(count))
    state, _, metrics = update(state, gradient, of_rows)
    return state, metrics
