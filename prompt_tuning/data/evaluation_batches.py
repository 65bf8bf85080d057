"""Batches for evaluation: every example once, different prompts side by side."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data.cached_task import CachedSplit
from prompt_tuning.data.shapes import Shape, smallest_fit

Item = tuple[int, CachedSplit]
"""A prompt of the bank and the examples to run it on."""


class EvalBatch(NamedTuple):
    """Holds examples of one or several items.

    Attributes:
        encoder_tokens: `[B, T]` int32, padded with 0.
        prompt_id: `[B]` int32, the prompt of each row.
        item: `[B]` which item each row is of.
        example: `[B]` which example of its item.
        valid: `[B]` bool, False for rows that only fill up the last batch.
    """

    encoder_tokens: np.ndarray
    prompt_id: np.ndarray
    item: np.ndarray
    example: np.ndarray
    valid: np.ndarray


def eval_batches(
    items: Sequence[Item], *, batch_size: int, shapes: Sequence[Shape]
) -> Iterator[EvalBatch]:
    """Yields every example of every item once, sorted by length.

    Args:
        items: Prompts and their examples; a split may occur several times.
        batch_size: Rows B of every batch; the last one repeats a row to get there.
        shapes: The (T, L) whose T a batch may be padded to; an example longer than all of them is a
            ValueError.
    """
    if not items:
        return
    sizes = [len(split) for _, split in items]
    item = np.repeat(np.arange(len(items)), sizes)
    example = np.concatenate([np.arange(size) for size in sizes])
    lengths = np.concatenate([split.inputs.lengths for _, split in items])
    order = np.argsort(lengths, kind="stable")
    prompts = np.array([prompt for prompt, _ in items], np.int32)
    widths = [(width, 0) for width in sorted({width for width, _ in shapes})]
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        valid = np.arange(batch_size) < len(rows)
        rows = np.concatenate([rows, np.repeat(rows[-1:], batch_size - len(rows))])
        fit = smallest_fit(widths, lengths[rows].max(keepdims=True), np.zeros(1))
        width = widths[int(fit[0])][0]
        tokens = np.zeros((batch_size, width), np.int32)
        for index in np.unique(item[rows]):
            of_item = item[rows] == index
            tokens[of_item] = items[index][1].inputs.padded(example[rows][of_item], width)
        yield EvalBatch(tokens, prompts[item[rows]], item[rows], example[rows], valid)
