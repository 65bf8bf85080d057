"""The training step: one update of every row, with gradients through the frozen model."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import Batch, Dropout, cross_entropy
from prompt_tuning.parameterizations.parameterization import (
    Given,
    Parameterization,
    Trainable,
    Variables,
)
from prompt_tuning.prompts.bank import Bank, no_prompt
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.microbatches import Microbatches
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.types import Array, Params, UserError


@dataclasses.dataclass(frozen=True)
class StepConfig:
    """Settings of the training step, shared by all rows of a run.

    Attributes:
        optimizer: The optimizer.
        dropout_rate: Probability of zeroing a feature, in [0, 1).
        z_loss: Weight of `logsumexp(logits) ** 2`, added to the loss of each target token.

    Raises:
        UserError: The dropout rate is not in [0, 1).
    """

    optimizer: Adafactor
    dropout_rate: float
    z_loss: float

    def __post_init__(self):
        if not 0.0 <= self.dropout_rate < 1.0:
            raise UserError(f"StepConfig.dropout_rate must be in [0, 1), not {self.dropout_rate}")


class RowState(NamedTuple):
    """State of a row that steps update; for C rows, with a leading axis C.

    Attributes:
        trainable: The arrays that the row trains.
        optimizer: The optimizer's state for them.
        step: Steps done, int32.
        failed: Whether a loss or an update was not finite; `trainable` is then the last finite one.
    """

    trainable: Trainable
    optimizer: Any
    step: Array
    failed: Array


class RowSettings(NamedTuple):
    """Inputs of a step of C rows, other than state and data.

    Attributes:
        given: Constants of the rows, a tree with a leading axis C.
        learning_rate: `[C]` float32.
        seed: `[C]` uint32, dropout seeds.
        active: `[C]` bool, whether this step updates the row.
    """

    given: Given
    learning_rate: Array
    seed: Array
    active: Array


class StepSums(NamedTuple):
    """Sums over the examples of each of C rows.

    Attributes:
        gradient: Gradient of `losses` with respect to the rows' `Variables`: their banks as one,
            with a leading axis of `C K` prompts, and their parameters, with a leading axis C.
        losses: `[C]`, cross entropy and z-loss in nats.
        tokens: `[C]` int32, target tokens.
    """

    gradient: Variables
    losses: Array
    tokens: Array


class StepMetrics(NamedTuple):
    """Metrics of a step, each `[C]`.

    Attributes:
        loss: Cross entropy and z-loss summed over the batch's target tokens, in nats.
        tokens: Target tokens of the batch.
        gradient_norm: L2 norm of the gradient of `loss` with respect to the trainable.
        failed: Whether the row has stopped because a loss or an update was not finite.
    """

    loss: Array
    tokens: Array
    gradient_norm: Array
    failed: Array

    def entry(self, learning_rate: float) -> dict[str, float]:
        """Returns one row's metrics as a log entry; call on host scalars."""
        return {
            "loss": float(self.loss),
            "loss_per_token": float(self.loss) / max(int(self.tokens), 1),
            "gradient_norm": float(self.gradient_norm),
            "learning_rate": learning_rate,
        }


class Step(NamedTuple):
    """The compiled step of C rows: `add` for each shape of microbatch, then `update`.

    Attributes:
        init: Returns the initial state of one row, from its trainable.
        zero_sums: Returns zero sums, for the state and the constants of C rows.
        add: `add_microbatches`; donates the sums.
        update: `update_rows`; donates the state.
    """

    init: Callable[..., RowState]
    zero_sums: Callable[..., StepSums]
    add: Callable[..., StepSums]
    update: Callable[..., tuple[RowState, StepMetrics]]


@functools.cache
def make_step(
    model: PromptedModel,
    parameterization: Parameterization,
    config: StepConfig,
    layout: Layout | None = None,
) -> Step:
    """Returns the compiled step, cached across runs.

    In model tuning C is 1, and states have no leading axis.

    Args:
        model: The prompted model.
        parameterization: Defines what rows train.
        config: Settings that all rows share.
        layout: Layout of states and sums: sharded in model tuning, else replicated; None on a
            single device.
    """

    def constrain(tree: Any) -> Any:
        if layout is None:
            return tree
        shardings = layout.shardings(tree, shard=parameterization.tunes_model)
        return jax.lax.with_sharding_constraint(tree, shardings)

    def init(trainable: Trainable) -> RowState:
        return constrain(init_state(trainable, config.optimizer))

    def zeros(state: RowState, given: Given) -> StepSums:
        return constrain(zero_sums(stacked(state).trainable, given, parameterization))

    def add(sums, frozen, state, settings, microbatches, count, first) -> StepSums:
        sums = add_microbatches(
            sums,
            frozen,
            stacked(state),
            settings,
            microbatches,
            count,
            first,
            model=model,
            parameterization=parameterization,
            config=config,
        )
        return constrain(sums)

    def update(state, sums, settings) -> tuple[RowState, StepMetrics]:
        state, metrics = update_rows(
            stacked(state), sums, settings, parameterization=parameterization, config=config
        )
        return constrain(unstacked(state)), metrics

    def stacked(state: RowState) -> RowState:
        return jax.tree.map(lambda x: x[None], state) if parameterization.tunes_model else state

    def unstacked(state: RowState) -> RowState:
        return jax.tree.map(lambda x: x[0], state) if parameterization.tunes_model else state

    return Step(
        init=jax.jit(init),
        zero_sums=jax.jit(zeros),
        add=jax.jit(add, donate_argnums=0),
        update=jax.jit(update, donate_argnums=0),
    )


def init_state(trainable: Trainable, optimizer: Adafactor) -> RowState:
    """Returns the initial state of a row."""
    return RowState(
        trainable=trainable,
        optimizer=optimizer.init(trainable),
        step=jnp.zeros((), jnp.int32),
        failed=jnp.zeros((), bool),
    )


def zero_sums(trainable: Trainable, given: Given, parameterization: Parameterization) -> StepSums:
    """Returns zero sums for C rows, without computing their variables."""
    rows = jax.tree.leaves(trainable)[0].shape[0]
    shapes = jax.eval_shape(lambda: _variables(trainable, given, parameterization)[0])
    return StepSums(
        gradient=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes),
        losses=jnp.zeros(rows, _dtype(shapes)),
        tokens=jnp.zeros(rows, jnp.int32),
    )


def add_microbatches(
    sums: StepSums,
    frozen: Params,
    state: RowState,
    settings: RowSettings,
    microbatches: Microbatches,
    count: Array,
    first: Array,
    *,
    model: PromptedModel,
    parameterization: Parameterization,
    config: StepConfig,
) -> StepSums:
    """Adds the first `count` of `microbatches` to the sums of C rows.

    Every example sees only its own row's prompt, so no row influences another. The gradient is
    taken with respect to the rows' variables, which are constant within a step; `update_rows`
    pulls it back to the trainables.

    Args:
        sums: The sums so far.
        frozen: The frozen model's parameters.
        state: States of the rows, leading axis C.
        settings: Constants, learning rate, seed and activity of each row.
        microbatches: Examples of the rows.
        count: Number of microbatches that hold examples.
        first: Whether these are the first of a step; the sums then restart from 0.
        model: The prompted model.
        parameterization: Defines what the rows train.
        config: Settings that all rows share.
    """
    variables, prompts = _variables(state.trainable, settings.given, parameterization)
    gradient_of = jax.value_and_grad(_loss, has_aux=True)

    def add(i: Array, sums: StepSums) -> StepSums:
        one = Microbatches(
            *(jax.lax.dynamic_index_in_dim(x, i, keepdims=False) for x in microbatches)
        )
        keys = jax.vmap(example_key)(settings.seed[one.slot], state.step[one.slot], one.example)
        (_, losses), gradient = gradient_of(variables, prompts, frozen, one, keys, model, config)
        return StepSums(
            jax.tree.map(jnp.add, sums.gradient, gradient),
            sums.losses.at[one.slot].add(losses.astype(sums.losses.dtype)),
            sums.tokens.at[one.slot].add((one.targets > 0).sum(axis=1, dtype=jnp.int32)),
        )

    # Zeroed here: `update_rows` would need a second buffer for it.
    sums = jax.tree.map(lambda total: jnp.where(first, jnp.zeros_like(total), total), sums)
    return jax.lax.fori_loop(0, count, add, sums)


def update_rows(
    state: RowState,
    sums: StepSums,
    settings: RowSettings,
    *,
    parameterization: Parameterization,
    config: StepConfig,
) -> tuple[RowState, StepMetrics]:
    """Updates C rows from the sums over their batches.

    Args:
        state: States of the rows, leading axis C.
        sums: Sums over all microbatches of the step.
        settings: Constants, learning rate, seed and activity of each row.
        parameterization: Defines what the rows train.
        config: Settings that all rows share.

    Returns:
        The states after the step (inactive and failed rows keep theirs), and the metrics.
    """

    def update(trainable, optimizer, given, gradient, rate):
        variables, pull = jax.vjp(lambda t: parameterization.variables(t, given), trainable)
        (gradient,) = pull(jax.tree.map(lambda x, like: x.reshape(like.shape), gradient, variables))
        rates = jax.tree.map(lambda factor: rate * factor, parameterization.rates(trainable))
        squares = [jnp.square(leaf).sum() for leaf in jax.tree.leaves(gradient)]
        trainable, optimizer = config.optimizer.update(gradient, optimizer, trainable, rates)
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(trainable)]
        return trainable, optimizer, jnp.sqrt(sum(squares)), jnp.stack(finite).all()

    trainable, optimizer, norm, finite = jax.vmap(update)(
        state.trainable,
        state.optimizer,
        settings.given,
        jax.tree.map(lambda x: x.reshape(len(state.step), -1, *x.shape[1:]), sums.gradient),
        settings.learning_rate,
    )
    finite &= jnp.isfinite(sums.losses)
    updated = RowState(trainable, optimizer, state.step + 1, state.failed)
    failed = state.failed | (settings.active & ~finite)
    state = _where(settings.active & ~failed, updated, state)._replace(failed=failed)
    metrics = StepMetrics(sums.losses, sums.tokens, gradient_norm=norm, failed=failed)
    return state, metrics


def example_key(seed: Array, step: Array, example: Array) -> Array:
    """Returns an example's random key, from its row's seed, the step and its place in the batch."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), example)


def as_one_bank(bank: Bank) -> tuple[Bank, int]:
    """Flattens the banks of C rows, `[C, K, ...]`, to one of `C K` prompts; also returns K."""
    prompts = jax.tree.leaves(bank)[0].shape[1]
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), bank), prompts


def _variables(
    trainable: Trainable, given: Given, parameterization: Parameterization
) -> tuple[Variables, int]:
    """Returns the variables of C rows, their banks as one, and the prompts K per row.

    The gradient is taken with respect to the one bank, so that examples add to the sum directly.
    """
    bank, params = jax.vmap(parameterization.variables)(trainable, given)
    if bank is None:
        return Variables(None, params), 0
    bank, prompts = as_one_bank(bank)
    return Variables(bank, params), prompts


def _loss(
    variables: Variables,
    prompts: int,
    frozen: Params,
    one: Microbatches,
    keys: Array,
    model: PromptedModel,
    config: StepConfig,
) -> tuple[Array, Array]:
    """Returns the summed loss of a microbatch, and the loss of each example, `[b]`."""
    bank = no_prompt(model.width) if variables.bank is None else variables.bank
    prompt_id = one.slot * prompts + (one.part if prompts > 1 else 0)
    params = frozen
    if variables.params is not None:  # Model tuning: of the only row.
        params = jax.tree.map(lambda x: x[0], variables.params)
    batch = Batch(one.encoder_tokens, one.targets, prompt_id)
    drop = Dropout(config.dropout_rate, keys) if config.dropout_rate > 0.0 else None
    logits = model.logits(params, bank, batch, drop)
    losses = cross_entropy(logits, one.targets, config.z_loss).astype(_dtype(variables))
    return losses.sum(), losses


def _dtype(tree: Any) -> jnp.dtype:
    return jnp.result_type(*jax.tree.leaves(tree))


def _where(condition: Array, chosen: RowState, other: RowState) -> RowState:
    def pick(a, b):
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, chosen, other)
