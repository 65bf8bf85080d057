"""What a run needs, without running it: parameters, memory, and how long batches are."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.padding import Positions, expect_positions
from prompt_tuning.data.shapes import Shape
from prompt_tuning.models.family import prompted
from prompt_tuning.models.prompted import Batch, cross_entropy
from prompt_tuning.models.weights import Outline
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import find_placement, prefix
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import ModelTuneConfig, TuneConfig
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.rows import Row
from prompt_tuning.training.running import open_batches
from prompt_tuning.training.state import init_state

_LOOKED_AT = 128  # batches of a task, to see how much padding they have


def describe(
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig | ModelTuneConfig,
    shape: Shape,
) -> Table:
    """Returns a table of parameter counts and of the memory a run will need, in bytes.

    Nothing is computed: all figures come from abstract shapes.

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
    if isinstance(config, ModelTuneConfig):
        entries, tokens = _of_models(len(rows), backbone, config), f"{shape[0]}"
    else:
        entries = _of_prompts(len(rows), backbone, config)
        tokens = f"({config.prompt_length} + {shape[0]})"
    for name, value in entries.items():
        table.add_row(name, value)
    if isinstance(config, ModelTuneConfig):
        examples = max(row.schedule.batch_size for row in rows) // config.microbatches
    else:
        examples = pass_sizes(rows, backbone, config, [shape], partitioning.layouts()[0])[shape]
    table.add_row(
        f"memory: activations, {examples} x {tokens} tokens",
        _megabytes(activation_bytes(backbone, config, examples, shape)),
    )
    return table


def describe_shapes(
    rows: Sequence[Row],
    tasks: Mapping[str, CachedTask | CachedMixture] | None,
    shapes: Sequence[Shape],
    config: TuneConfig | ModelTuneConfig,
) -> dict[str, str]:
    """Returns what to say of the padded shapes, and of how much padding they leave.

    Args:
        rows: The rows of the run.
        tasks: Their tasks; None where some are not tokenised, so that neither is known.
        shapes: The padded shapes (T, L), the largest last.
        config: Settings that all rows share.
    """
    if tasks is None:
        return {"padded lengths": "known when all tasks are tokenised"}
    entries = {"padded lengths, input + target tokens": listed_shapes(shapes)}
    if not any(part.stream for task in tasks.values() for part, _ in task.parts):
        prompt_length = config.prompt_length if isinstance(config, TuneConfig) else 0
        of_rows = {(row.task, row.schedule.batch_size): row for row in rows}
        positions = Positions()
        for row in of_rows.values():
            batches = open_batches(row, tasks[row.task], shapes)
            count = min(row.steps, _LOOKED_AT)
            expected = expect_positions(batches, count, prompt_length=prompt_length)
            positions = positions.plus(expected)
        share = f"{100 * positions.padding_share:.1f} %"
        entries["padding, of encoder positions, prompts counted"] = share
    return entries


def listed_shapes(shapes: Sequence[Shape]) -> str:
    """Returns shapes (T, L) for a person to read."""
    return ", ".join(f"{inputs}+{targets}" for inputs, targets in shapes)


def pass_sizes(
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig,
    shapes: Sequence[Shape],
    layout: Layout,
) -> dict[Shape, int]:
    """Returns the examples of a pass by its padded shape (T, L).

    Args:
        rows: The rows of the run.
        backbone: The pretrained model.
        config: Settings that all rows share.
        shapes: The shapes; the last is the largest.
        layout: Where the passes run.
    """

    def position_bytes() -> float:
        kept = activation_bytes(backbone, config, 1, shapes[-1])
        return kept / (config.prompt_length + shapes[-1][0])

    positions = config.pass_positions or partitioning.pass_positions(layout, position_bytes)
    most = max(row.schedule.batch_size for row in rows)
    if partitioning.mixes_rows():
        most *= min(len(rows), config.slots)
    return {
        shape: partitioning.pass_size(
            positions, config.prompt_length + shape[0], most=most, devices=layout.mesh.size
        )
        for shape in shapes
    }


def activation_bytes(
    backbone: Outline,
    config: TuneConfig | ModelTuneConfig,
    batch_size: int,
    shape: Shape,
) -> int:
    """Returns the bytes that a backward pass keeps from the forward pass.

    The compiler fuses and may keep fewer.

    Args:
        backbone: The pretrained model.
        config: Settings of the run, which say what is trained.
        batch_size: Examples of the pass, B.
        shape: Padded shape (T, L).
    """
    prompts = isinstance(config, TuneConfig)
    placement = find_placement(config.placed) if prompts else prefix
    model = prompted(backbone.config, placement, remat=config.remat)
    batch = Batch(
        encoder_tokens=jnp.ones((batch_size, shape[0]), jnp.int32),
        targets=jnp.ones((batch_size, shape[1]), jnp.int32),
        prompt_id=jnp.zeros(batch_size, jnp.int32),
    )

    def loss(bank, params, batch):
        logits = model.logits(params, bank, batch, None)
        return cross_entropy(logits, batch.targets, config.step.z_loss).sum()

    def residuals(bank, params, batch):
        if prompts:
            return jax.vjp(lambda bank: loss(bank, params, batch), bank)[1]
        return jax.vjp(lambda params: loss(bank, params, batch), params)[1]

    length = config.prompt_length if prompts else 0
    bank = PromptBank(np.zeros((1, length, backbone.config.emb_dim), np.float32))
    kept = jax.eval_shape(residuals, bank, backbone.shapes, batch)
    # The weights are among what the backward pass reads; they are counted by themselves.
    return max(0, _bytes(kept) - _bytes(backbone.shapes))


def _of_prompts(rows: int, backbone: Outline, config: TuneConfig) -> dict[str, str]:
    prompt = jax.ShapeDtypeStruct((config.prompt_length, backbone.config.emb_dim), jnp.float32)
    state = jax.eval_shape(functools.partial(init_state, optimizer=config.step.optimizer), prompt)
    return {
        "rows (prompts to train)": f"{rows:,}",
        "frozen parameters": f"{_count(backbone.shapes):,}",
        "trainable parameters of a row": f"{prompt.size:,}",
        "memory: frozen weights, per device": _megabytes(_bytes(backbone.shapes)),
        "memory: prompt and optimizer of a row": _megabytes(_bytes(state)),
    }


def _of_models(rows: int, backbone: Outline, config: ModelTuneConfig) -> dict[str, str]:
    optimizer = jax.eval_shape(config.step.optimizer.init, backbone.shapes)
    return {
        "rows (models to train, one after another)": f"{rows:,}",
        "trainable parameters of a row": f"{_count(backbone.shapes):,}",
        "memory: weights, over all devices": _megabytes(_bytes(backbone.shapes)),
        "memory: gradient, over all devices": _megabytes(_bytes(backbone.shapes)),
        "memory: optimizer, over all devices": _megabytes(_bytes(optimizer)),
        "disk: a kept model": _megabytes(_bytes(backbone.shapes)),
    }


def _count(tree: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _bytes(tree: object) -> int:
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.2f} MB"
