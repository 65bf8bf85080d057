"""The train step: one update of each row's soft prompt through the frozen model."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from prompt_tuning.models.layers import Dropout
from prompt_tuning.models.prompted import Batch, PromptedT5, cross_entropy
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.state import RowSettings, RowState, TrainBatch
from prompt_tuning.types import Array, Params, UserError


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """Settings of a step that all rows of a run share.

    Attributes:
        optimizer: Updates the prompts, or the model.
        dropout_rate: Probability of zeroing a feature, in [0, 1).
        z_loss: Weight of `logsumexp(logits) ** 2`, added to the loss of each target token.
        microbatches: Parts a batch is cut into; their gradients are summed before the update.
    """

    optimizer: Adafactor
    dropout_rate: float
    z_loss: float
    microbatches: int

    def __post_init__(self):
        if not 0.0 <= self.dropout_rate < 1.0:
            raise UserError(f"StepConfig.dropout_rate must be in [0, 1), not {self.dropout_rate}")
        if self.microbatches < 1:
            raise UserError(f"StepConfig.microbatches must be at least 1, not {self.microbatches}")


class StepMetrics(NamedTuple):
    """What a step reports of each row, `[C]`.

    Attributes:
        loss: Cross entropy and z-loss summed over the batch's target tokens, in nats.
        tokens: Target tokens of the batch.
        gradient_norm: L2 norm of the gradient of `loss`, taken for what is trained.
        failed: Whether the row has stopped at a loss or an update that was not finite.
    """

    loss: Array
    tokens: Array
    gradient_norm: Array
    failed: Array

    def entry(self, learning_rate: float) -> dict[str, float]:
        """Returns one row's metrics, scalars on the host, as the journal has them."""
        return {
            "loss": float(self.loss),
            "loss_per_token": float(self.loss) / max(int(self.tokens), 1),
            "gradient_norm": float(self.gradient_norm),
            "learning_rate": learning_rate,
        }


def train_step(
    state: RowState,
    frozen: Params,
    batch: TrainBatch,
    settings: RowSettings,
    *,
    model: PromptedT5,
    config: StepConfig,
) -> tuple[RowState, StepMetrics]:
    """Advances C rows by one step each.

    The rows share one forward and backward pass of the frozen model; every example sees its own
    row's prompt only, so no row influences another. The gradient is taken with respect to the
    prompts alone.

    Args:
        state: The rows, leading axis C.
        frozen: The frozen model's parameters.
        batch: One batch per row.
        settings: Learning rate, seed and activity of each row.
        model: The prompted model.
        config: Settings all rows share.

    Returns:
        The rows after the step (inactive and failed ones unchanged) and their metrics.
    """
    keys = example_keys(settings.seed, state.step, batch.targets.shape[1])
    parts = jax.tree.map(lambda x: split(x, config.microbatches), (batch, keys))
    gradient_of = jax.value_and_grad(_loss, has_aux=True)

    def accumulate(total, part):
        (_, losses), gradient = gradient_of(state.prompt, frozen, *part, model, config)
        return jax.tree.map(jnp.add, total, (losses, gradient)), None

    zero = (jnp.zeros(len(state.step), state.prompt.dtype), jnp.zeros_like(state.prompt))
    if config.microbatches == 1:
        (losses, gradients), _ = accumulate(zero, jax.tree.map(lambda x: x[0], parts))
    else:
        (losses, gradients), _ = jax.lax.scan(accumulate, zero, parts)

    prompts, optimizer = jax.vmap(config.optimizer.update)(
        gradients, state.optimizer, state.prompt, settings.learning_rate
    )
    finite = jnp.isfinite(losses) & jnp.isfinite(prompts).all(axis=(1, 2))
    updated = RowState(prompts, optimizer, state.step + 1, state.failed)
    failed = state.failed | (settings.active & ~finite)
    state = _where(settings.active & ~failed, updated, state)._replace(failed=failed)
    return state, StepMetrics(
        loss=losses,
        tokens=(batch.targets > 0).sum(axis=(1, 2)),
        gradient_norm=jnp.sqrt(jnp.square(gradients).sum(axis=(1, 2))),
        failed=failed,
    )


def example_keys(seeds: Array, steps: Array, examples: int) -> Array:
    """Returns a random key for each example, `[C, B]`, that only its row, step and place decide."""

    def of_row(seed, step):
        key = jax.random.fold_in(jax.random.key(seed), step)
        return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(examples))

    return jax.vmap(of_row)(seeds, steps)


def split(x: Array, parts: int) -> Array:
    """Cuts the examples of `[C, B, ...]` into `[parts, C, B / parts, ...]`."""
    rows, examples = x.shape[:2]
    return jnp.moveaxis(x.reshape(rows, parts, examples // parts, *x.shape[2:]), 1, 0)


def _loss(
    prompts: Array,
    frozen: Params,
    batch: TrainBatch,
    keys: Array,
    model: PromptedT5,
    config: StepConfig,
) -> tuple[Array, Array]:
    """Returns the loss summed over all rows, and each row's own `[C]`."""
    rows, examples = batch.targets.shape[:2]
    flat = Batch(
        encoder_tokens=_flatten(batch.encoder_tokens),
        targets=_flatten(batch.targets),
        prompt_id=jnp.repeat(jnp.arange(rows), examples),
    )
    drop = Dropout(config.dropout_rate, _flatten(keys)) if config.dropout_rate > 0.0 else None
    logits = model.logits(frozen, prompts, flat, drop)
    losses = cross_entropy(logits, flat.targets, config.z_loss)
    losses = losses.astype(prompts.dtype).reshape(rows, examples).sum(axis=1)
    return losses.sum(), losses


def _flatten(x: Array) -> Array:
    return x.reshape(-1, *x.shape[2:])


def _where(condition: Array, chosen: RowState, other: RowState) -> RowState:
    def pick(a, b):
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, chosen, other)
