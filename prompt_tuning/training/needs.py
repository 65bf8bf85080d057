"""Estimates what a run needs without running it: parameters, memory and padding."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from prompt_tuning.data.batches.padding import Positions, expect_positions
from prompt_tuning.data.batches.shapes import Shape
from prompt_tuning.data.cached_task import MixtureOrTask
from prompt_tuning.models.family import prompted
from prompt_tuning.models.prompted import Batch, cross_entropy
from prompt_tuning.models.weights import Outline
from prompt_tuning.parameterizations.parameterization import Variables
from prompt_tuning.prompts.bank import no_prompt
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.rows import Row, open_batches
from prompt_tuning.training.step import init_state

_SAMPLED_BATCHES = 128  # batches of a row, to estimate its padding


def describe_needs(
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig,
    shape: Shape,
) -> Table:
    """Returns a table of a run's parameter counts and memory.

    All figures come from abstract shapes; nothing is computed on a device.

    Args:
        rows: The rows of the run.
        backbone: The pretrained model.
        config: Settings that all rows share.
        shape: The largest padded shape (T, L) of a batch.
    """
    table = Table(show_header=False, box=None)
    table.add_column()
    table.add_column(justify="right")
    table.add_row("row-steps in all", f"{sum(row.steps for row in rows):,}")
    for name, value in _counts(len(rows), backbone, config).items():
        table.add_row(name, value)
    examples = microbatch_sizes(rows, backbone, config, [shape], partitioning.layouts()[0])[shape]
    tokens = f"({config.prompt_length} + {shape[0]})" if config.prompt_length else f"{shape[0]}"
    table.add_row(
        f"memory: activations, {examples} x {tokens} tokens",
        _megabytes(activation_bytes(backbone, config, examples, shape)),
    )
    return table


def describe_shapes(
    rows: Sequence[Row],
    tasks: Mapping[str, MixtureOrTask] | None,
    shapes: Sequence[Shape],
    config: TuneConfig,
) -> dict[str, str]:
    """Returns labeled descriptions of the padded shapes and the share of padding.

    Args:
        rows: The rows of the run.
        tasks: Their tasks by name; None if some are not tokenized, so that shapes are unknown.
        shapes: The padded shapes (T, L), the largest last.
        config: Settings that all rows share.
    """
    if tasks is None:
        return {"padded lengths": "known when all tasks are tokenized"}
    entries = {"padded lengths, input + target tokens": format_shapes(shapes)}
    if not any(part.stream for task in tasks.values() for part in task.tasks):
        by_data = {(row.task, row.schedule.batch_size): row for row in rows}
        positions = Positions()
        for row in by_data.values():
            batches = open_batches(row, tasks[row.task], shapes)
            count = min(row.steps, _SAMPLED_BATCHES)
            expected = expect_positions(batches, count, prompt_length=config.prompt_length)
            positions = positions.plus(expected)
        share = f"{100 * positions.padding_share:.1f} %"
        entries["padding, of encoder positions, prompts counted"] = share
    return entries


def format_shapes(shapes: Sequence[Shape]) -> str:
    """Formats shapes (T, L) as `T+L, ...`."""
    return ", ".join(f"{inputs}+{targets}" for inputs, targets in shapes)


def microbatch_sizes(
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig,
    shapes: Sequence[Shape],
    layout: Layout,
) -> dict[Shape, int]:
    """Returns the number of examples in a microbatch of each padded shape (T, L).

    In model tuning a microbatch is a whole batch unless `microbatch_positions` is set, because each
    microbatch adds to a gradient of the size of the model.

    Args:
        rows: The rows of the run.
        backbone: The pretrained model.
        config: Settings that all rows share.
        shapes: The shapes; the last is the largest.
        layout: Where the microbatches run.
    """

    def position_bytes() -> float:
        stored = activation_bytes(backbone, config, 1, shapes[-1])
        return stored / (config.prompt_length + shapes[-1][0])

    devices, tunes_model = layout.mesh.size, config.parameterization.tunes_model
    most = max(row.schedule.batch_size for row in rows)
    if tunes_model and config.microbatch_positions is None:
        return dict.fromkeys(shapes, devices * -(-most // devices))
    if partitioning.mixes_rows():
        most *= min(len(rows), config.slots_in_use)
    positions = config.microbatch_positions
    positions = positions or partitioning.microbatch_positions(layout, position_bytes)
    return {
        shape: partitioning.microbatch_size(
            positions, config.prompt_length + shape[0], most=most, devices=devices
        )
        for shape in shapes
    }


def activation_bytes(
    backbone: Outline,
    config: TuneConfig,
    batch_size: int,
    shape: Shape,
) -> int:
    """Returns the bytes of activations that the forward pass stores for the backward pass.

    An upper bound: the compiler fuses operations and may store less.

    Args:
        backbone: The pretrained model.
        config: Settings that all rows share.
        batch_size: Examples in the pass, B.
        shape: Padded shape (T, L).
    """
    model = prompted(backbone.config, find_placement(config.placement_name), remat=config.remat)
    batch = Batch(
        encoder_tokens=jnp.ones((batch_size, shape[0]), jnp.int32),
        targets=jnp.ones((batch_size, shape[1]), jnp.int32),
        prompt_id=jnp.zeros(batch_size, jnp.int32),
    )

    def residuals(variables: Variables, params: Any, batch: Batch) -> Any:
        def loss(variables: Variables) -> Any:
            bank, own = variables.bank or no_prompt(model.width), variables.params
            logits = model.logits(params if own is None else own, bank, batch, None)
            return cross_entropy(logits, batch.targets, config.step.z_loss).sum()

        return jax.vjp(loss, variables)[1]

    variables = jax.eval_shape(config.parameterization.variables, _trainable(backbone, config), ())
    stored = jax.eval_shape(residuals, variables, backbone.shapes, batch)
    # The residuals include the weights, which are counted separately.
    return max(0, _bytes(stored) - _bytes(backbone.shapes))


def _trainable(backbone: Outline, config: TuneConfig) -> Any:
    """Returns the shapes of a row's trainable."""
    first = backbone.shapes
    if not config.parameterization.tunes_model:
        shape = (config.prompt_length, backbone.config.emb_dim)
        first = jax.ShapeDtypeStruct(shape, np.dtype(np.float32))
    return jax.eval_shape(config.parameterization.init, jax.random.key(0), first, ())


def _counts(rows: int, backbone: Outline, config: TuneConfig) -> dict[str, str]:
    """Returns counts of parameters, and the memory that they and the optimizer need."""
    trainable = _trainable(backbone, config)
    state = jax.eval_shape(lambda tree: init_state(tree, config.step.optimizer), trainable)
    weights = _megabytes(_bytes(backbone.shapes))
    if config.parameterization.tunes_model:
        return {
            "rows (models to train, one after another)": f"{rows:,}",
            "trainable parameters of a row": f"{_count(trainable):,}",
            "memory: weights, over all devices": weights,
            # The sum over microbatches, and the gradient of one.
            "memory: gradients, over all devices": _megabytes(2 * _bytes(backbone.shapes)),
            "memory: optimizer, over all devices": _megabytes(_bytes(state.optimizer)),
            "disk: a kept model": weights,
        }
    return {
        "rows (prompts to train)": f"{rows:,}",
        "frozen parameters": f"{_count(backbone.shapes):,}",
        "trainable parameters of a row": f"{_count(trainable):,}",
        "memory: frozen weights, per device": weights,
        "memory: prompt and optimizer of a row": _megabytes(_bytes(state)),
    }


def _count(tree: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _bytes(tree: object) -> int:
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"
