"""The train step of model tuning: one update of every weight of the model."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import Batch, Dropout, cross_entropy
from prompt_tuning.prompts.bank import no_prompt
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.step import StepConfig, StepMetrics, example_key
from prompt_tuning.types import Array, Params


class ModelState(NamedTuple):
    """Everything a step changes.

    Attributes:
        params: The model's parameters.
        optimizer: Adafactor's state for them.
        step: Steps done, int32.
        failed: Whether a loss or a gradient was not finite. `params` are then the last good ones.
    """

    params: Params
    optimizer: Any
    step: Array
    failed: Array


def init_model_state(params: Params, optimizer: Adafactor) -> ModelState:
    """Returns the state before the first step from `params`, with fresh accumulators."""
    return ModelState(
        params=params,
        optimizer=optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        failed=jnp.zeros((), bool),
    )


def model_step(
    state: ModelState,
    encoder_tokens: Array,
    targets: Array,
    seed: Array,
    learning_rate: Array,
    *,
    model: PromptedModel,
    config: StepConfig,
    microbatches: int,
) -> tuple[ModelState, StepMetrics]:
    """Advances a model by one step; the gradient is taken with respect to all its parameters.

    Args:
        state: The model and its optimizer.
        encoder_tokens: `[B, T]` int32, 0 is padding.
        targets: `[B, L]` int32, 0 is padding and carries no loss.
        seed: Seed of the dropout, uint32.
        learning_rate: Float32.
        model: The model; it reads no soft prompt.
        config: Settings of the step.
        microbatches: Parts a batch is cut into; their gradients are summed before the update.

    Returns:
        The model after the step (unchanged once a step has failed) and the step's metrics, scalars.
    """
    examples = jnp.arange(len(targets))
    keys = jax.vmap(example_key, (None, None, 0))(seed, state.step, examples)
    parts = jax.tree.map(
        lambda x: x.reshape(microbatches, -1, *x.shape[1:]), (encoder_tokens, targets, keys)
    )
    gradient_of = jax.value_and_grad(functools.partial(_loss, model=model, config=config))

    def accumulate(total, part):
        return jax.tree.map(jnp.add, total, gradient_of(state.params, *part)), None

    if microbatches == 1:
        loss, gradient = gradient_of(state.params, *jax.tree.map(lambda x: x[0], parts))
    else:
        zero = (jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, state.params))
        (loss, gradient), _ = jax.lax.scan(accumulate, zero, parts)

    squares = [jnp.square(leaf).sum() for leaf in jax.tree.leaves(gradient)]
    norm = jnp.sqrt(jnp.stack(squares).sum())
    params, optimizer = config.optimizer.update(
        gradient, state.optimizer, state.params, learning_rate
    )
    updated = ModelState(params, optimizer, state.step + 1, state.failed)
    failed = state.failed | ~(jnp.isfinite(loss) & jnp.isfinite(norm))
    state = jax.tree.map(lambda new, old: jnp.where(failed, old, new), updated, state)
    metrics = StepMetrics(loss=loss, tokens=(targets > 0).sum(), gradient_norm=norm, failed=failed)
    return state._replace(failed=failed), metrics


def _loss(
    params: Params,
    encoder_tokens: Array,
    targets: Array,
    keys: Array,
    *,
    model: PromptedModel,
    config: StepConfig,
) -> Array:
    """Returns the loss summed over the target tokens of `[B, L]`, in nats."""
    batch = Batch(encoder_tokens, targets, jnp.zeros(len(targets), jnp.int32))
    bank = no_prompt(model.width)
    drop = Dropout(config.dropout_rate, keys) if config.dropout_rate > 0.0 else None
    logits = model.logits(params, bank, batch, drop)
    return cross_entropy(logits, targets, config.z_loss).sum()
