"""The train step: one update of each row's soft prompt through the frozen model."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import Batch, Dropout, cross_entropy
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.passes import Passes
from prompt_tuning.training.state import RowSettings, RowState
from prompt_tuning.types import Array, Params, UserError


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """Settings of a step that all rows of a run share.

    Attributes:
        optimizer: Updates the prompts, or the model.
        dropout_rate: Probability of zeroing a feature, in [0, 1).
        z_loss: Weight of `logsumexp(logits) ** 2`, added to the loss of each target token.
    """

    optimizer: Adafactor
    dropout_rate: float
    z_loss: float

    def __post_init__(self):
        if not 0.0 <= self.dropout_rate < 1.0:
            raise UserError(f"StepConfig.dropout_rate must be in [0, 1), not {self.dropout_rate}")


class Gradient(NamedTuple):
    """Sums over the examples of each of C rows.

    Attributes:
        prompts: `[C, P, H]`, the gradient of `losses`.
        losses: `[C]`, cross entropy and z-loss in nats.
        tokens: `[C]` int32, target tokens.
    """

    prompts: Array
    losses: Array
    tokens: Array


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


def no_gradient(prompts: Array) -> Gradient:
    """Returns the sums over no examples, for prompts `[C, P, H]`."""
    rows = len(prompts)
    return Gradient(
        prompts=jnp.zeros_like(prompts),
        losses=jnp.zeros(rows, prompts.dtype),
        tokens=jnp.zeros(rows, jnp.int32),
    )


def add_passes(
    total: Gradient,
    frozen: Params,
    state: RowState,
    settings: RowSettings,
    passes: Passes,
    count: Array,
    *,
    model: PromptedModel,
    config: StepConfig,
) -> Gradient:
    """Adds the first `count` of `passes` to the sums of C rows.

    Every example sees its own row's prompt only, so no row influences another. The gradient is
    taken with respect to the prompts alone.

    Args:
        total: The sums so far.
        frozen: The frozen model's parameters.
        state: The rows, leading axis C.
        settings: Learning rate, seed and activity of each row.
        passes: Examples of the rows.
        count: How many of the passes hold examples.
        model: The prompted model.
        config: Settings all rows share.
    """
    gradient_of = jax.value_and_grad(_loss, has_aux=True)

    def add(i: Array, total: Gradient) -> Gradient:
        one = Passes(*(jax.lax.dynamic_index_in_dim(x, i, keepdims=False) for x in passes))
        keys = jax.vmap(example_key)(settings.seed[one.slot], state.step[one.slot], one.example)
        (_, losses), gradient = gradient_of(state.prompt, frozen, one, keys, model, config)
        return Gradient(
            total.prompts + gradient,
            total.losses.at[one.slot].add(losses),
            total.tokens.at[one.slot].add((one.targets > 0).sum(axis=1, dtype=jnp.int32)),
        )

    return jax.lax.fori_loop(0, count, add, total)


def update_rows(
    state: RowState, gradient: Gradient, settings: RowSettings, *, config: StepConfig
) -> tuple[RowState, Gradient, StepMetrics]:
    """Ends a step of C rows.

    Returns:
        The rows after the step (inactive and failed ones unchanged), the sums at zero for the next
        step, and the rows' metrics.
    """
    prompts, optimizer = jax.vmap(config.optimizer.update)(
        gradient.prompts, state.optimizer, state.prompt, settings.learning_rate
    )
    finite = jnp.isfinite(gradient.losses) & jnp.isfinite(prompts).all(axis=(1, 2))
    updated = RowState(prompts, optimizer, state.step + 1, state.failed)
    failed = state.failed | (settings.active & ~finite)
    state = _where(settings.active & ~failed, updated, state)._replace(failed=failed)
    metrics = StepMetrics(
        loss=gradient.losses,
        tokens=gradient.tokens,
        gradient_norm=jnp.sqrt(jnp.square(gradient.prompts).sum(axis=(1, 2))),
        failed=failed,
    )
    return state, no_gradient(state.prompt), metrics


def example_key(seed: Array, step: Array, example: Array) -> Array:
    """Returns the random key of an example: of its row's seed, the step and its place in that."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), example)


def _loss(
    prompts: Array,
    frozen: Params,
    one: Passes,
    keys: Array,
    model: PromptedModel,
    config: StepConfig,
) -> tuple[Array, Array]:
    """Returns the loss of a pass summed over its examples, and each example's own `[b]`."""
    batch = Batch(one.encoder_tokens, one.targets, prompt_id=one.slot)
    drop = Dropout(config.dropout_rate, keys) if config.dropout_rate > 0.0 else None
    logits = model.logits(frozen, PromptBank(prompts), batch, drop)
    losses = cross_entropy(logits, one.targets, config.z_loss).astype(prompts.dtype)
    return losses.sum(), losses


def _where(condition: Array, chosen: RowState, other: RowState) -> RowState:
    def pick(a, b):
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, chosen, other)
