"""The train step: one update of what each row trains, through the frozen model."""

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
    """Settings of a step that all rows of a run share.

    Attributes:
        optimizer: Updates what is trained.
        dropout_rate: Probability of zeroing a feature, in [0, 1).
        z_loss: Weight of `logsumexp(logits) ** 2`, added to the loss of each target token.
    """

    optimizer: Adafactor
    dropout_rate: float
    z_loss: float

    def __post_init__(self):
        if not 0.0 <= self.dropout_rate < 1.0:
            raise UserError(f"StepConfig.dropout_rate must be in [0, 1), not {self.dropout_rate}")


class RowState(NamedTuple):
    """Everything a step changes of a row; of C rows, with a leading axis C.

    Attributes:
        trainable: What the row trains.
        optimizer: Adafactor's state for it.
        step: Steps done, int32.
        failed: Whether a loss or an update was not finite. `trainable` is then the last good one.
    """

    trainable: Trainable
    optimizer: Any
    step: Array
    failed: Array


class RowSettings(NamedTuple):
    """What the steps of C rows depend on beside state and data.

    Attributes:
        given: Constants of the rows, a tree with a leading axis C.
        learning_rate: `[C]` float32.
        seed: `[C]` uint32, seeds of the dropout.
        active: `[C]` bool, whether this step updates the row.
    """

    given: Given
    learning_rate: Array
    seed: Array
    active: Array


class StepSums(NamedTuple):
    """Sums over the examples of each of C rows.

    Attributes:
        gradient: The gradient of `losses` by the rows' `Variables`: by their banks as one, with a
            leading axis of `C K` prompts, and by their parameters with a leading axis C.
        losses: `[C]`, cross entropy and z-loss in nats.
        tokens: `[C]` int32, target tokens.
    """

    gradient: Variables
    losses: Array
    tokens: Array


class StepMetrics(NamedTuple):
    """Metrics of a step, `[C]`.

    Attributes:
        loss: Cross entropy and z-loss summed over the batch's target tokens, in nats.
        tokens: Target tokens of the batch.
        gradient_norm: L2 norm of the gradient of `loss` by what is trained.
        failed: Whether the row has stopped at a loss or an update that was not finite.
    """

    loss: Array
    tokens: Array
    gradient_norm: Array
    failed: Array

    def entry(self, learning_rate: float) -> dict[str, float]:
        """Returns one row's metrics, scalars on the host, as the log has them."""
        return {
            "loss": float(self.loss),
            "loss_per_token": float(self.loss) / max(int(self.tokens), 1),
            "gradient_norm": float(self.gradient_norm),
            "learning_rate": learning_rate,
        }


class Step(NamedTuple):
    """The compiled step of C rows; a step is `add` for each shape of microbatch, then `update`.

    Attributes:
        init: Returns the state of one row before its first step, from its trainable.
        empty: Returns the sums over no examples, for the state and the constants of C rows.
        add: `add_microbatches`; the sums are given away.
        update: `update_rows`; the state is given away.
    """

    init: Callable[..., RowState]
    empty: Callable[..., StepSums]
    add: Callable[..., StepSums]
    update: Callable[..., tuple[RowState, StepMetrics]]


@functools.cache
def make_step(
    model: PromptedModel,
    parameterization: Parameterization,
    config: StepConfig,
    layout: Layout | None = None,
) -> Step:
    """Returns the compiled step; made once in a process, however many runs share it.

    Where rows have the model for themselves, states have no leading axis: C is 1.

    Args:
        model: The prompted model.
        parameterization: What rows train.
        config: Settings that all rows share.
        layout: The devices over which states and sums are spread; None for those on one device.
    """

    def placed(tree: Any) -> Any:
        if layout is None:
            return tree
        shardings = layout.shardings(tree, spread=parameterization.tunes_model)
        return jax.lax.with_sharding_constraint(tree, shardings)

    def init(trainable: Trainable) -> RowState:
        return placed(init_state(trainable, config.optimizer))

    def empty(state: RowState, given: Given) -> StepSums:
        return placed(no_sums(stacked(state).trainable, given, parameterization))

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
        return placed(sums)

    def update(state, sums, settings) -> tuple[RowState, StepMetrics]:
        state, metrics = update_rows(
            stacked(state), sums, settings, parameterization=parameterization, config=config
        )
        return placed(unstacked(state)), metrics

    def stacked(state: RowState) -> RowState:
        return jax.tree.map(lambda x: x[None], state) if parameterization.tunes_model else state

    def unstacked(state: RowState) -> RowState:
        return jax.tree.map(lambda x: x[0], state) if parameterization.tunes_model else state

    return Step(
        init=jax.jit(init),
        empty=jax.jit(empty),
        add=jax.jit(add, donate_argnums=0),
        update=jax.jit(update, donate_argnums=0),
    )


def init_state(trainable: Trainable, optimizer: Adafactor) -> RowState:
    """Returns the state of a row before its first step."""
    return RowState(
        trainable=trainable,
        optimizer=optimizer.init(trainable),
        step=jnp.zeros((), jnp.int32),
        failed=jnp.zeros((), bool),
    )


def no_sums(trainable: Trainable, given: Given, parameterization: Parameterization) -> StepSums:
    """Returns the sums over no examples of C rows; nothing is computed of their variables."""
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

    Every example sees its own row's prompt only, so no row influences another. The gradient is
    taken by the rows' variables, which are constant in a step; `update_rows` pulls it back to what
    is trained.

    Args:
        sums: The sums so far.
        frozen: The frozen model's parameters.
        state: The rows, leading axis C.
        settings: Constants, learning rate, seed and activity of each row.
        microbatches: Examples of the rows.
        count: How many of the microbatches hold examples.
        first: Whether they are the first of a step: the sums are then taken for 0.
        model: The prompted model.
        parameterization: What the rows train.
        config: Settings all rows share.
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

    # Zeroed here and not by `update_rows`, which would need a second buffer for them.
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
    """Ends a step of C rows.

    Returns:
        The rows after the step (inactive and failed ones unchanged), and their metrics.
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
    """Returns the random key of an example: of its row's seed, the step and its place in that."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), example)


def as_one_bank(bank: Bank) -> tuple[Bank, int]:
    """Returns the banks of C rows, `[C, K, ...]`, as one of `C K` prompts, and K."""
    prompts = jax.tree.leaves(bank)[0].shape[1]
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), bank), prompts


def _variables(
    trainable: Trainable, given: Given, parameterization: Parameterization
) -> tuple[Variables, int]:
    """Returns what the model reads of C rows, their banks as one, and the prompts K of each.

    The gradient is taken by the one bank: an example's is then added to the sum at once.
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
    """Returns the loss of a microbatch summed over its examples, and each example's own `[b]`."""
    bank = no_prompt(model.width) if variables.bank is None else variables.bank
    prompt_id = one.slot * prompts + (one.part if prompts > 1 else 0)
    params = frozen
    if variables.params is not None:  # Of the one row that has the model for itself.
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
