"""Batches for evaluation: every example once, different prompts side by side."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data.batches.shapes import Shape, smallest_fit
from prompt_tuning.data.cached_task import CachedSplit

Item = tuple[int, CachedSplit]
"""A prompt of the bank and the examples to run it on."""

_STEP = 128
"""Encoder positions that one more token of a batch weighs.

Decoding one takes as long as about 400 (T5 small on a CPU), but answers end early."""


class EvalBatch(NamedTuple):
    """Holds examples of one or several items.

    Attributes:
        encoder_tokens: `[B, T]` int32, padded with 0; all 0 in rows that only fill up the batch.
        prompt_id: `[B]` int32, the prompt of each row.
        item: `[B]` which item each row is of.
        example: `[B]` which example of its item.
        valid: `[B]` bool, False for rows that only fill up the batch; they come last.
    """

    encoder_tokens: np.ndarray
    prompt_id: np.ndarray
    item: np.ndarray
    example: np.ndarray
    valid: np.ndarray


class Encoding(NamedTuple):
    """Says what encoding a batch takes.

    Attributes:
        prompt_length: Tokens of the prompt in front of each example, P.
        pass_size: Returns for a width T how many examples are encoded at a time; of a batch, as
            many passes are run as its examples fill.
    """

    prompt_length: int
    pass_size: Callable[[int], int]

    def positions(self, examples: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Returns the encoder positions of batches `[n]` of so many examples and such widths."""
        sizes = np.array([self.pass_size(int(width)) for width in widths], np.int64)
        return -(-examples // sizes) * sizes * (self.prompt_length + widths)


def eval_batches(
    items: Sequence[Item], *, batch_size: int, shapes: Sequence[Shape], encoding: Encoding
) -> Iterator[EvalBatch]:
    """Yields every example of every item once, those of similar lengths together.

    Examples with short targets share no batch with those of long ones, which are decoded for
    longer, as far as there are enough to fill one. Then they are sorted by input length. A batch
    is not filled up with longer examples where that costs more than another batch.

    Args:
        items: Prompts and their examples; a split may occur several times.
        batch_size: Rows B of every batch.
        shapes: The (T, L) whose T a batch may be padded to; an example longer than all of them is a
            ValueError.
        encoding: What encoding a batch takes.
    """
    if not items:
        return
    sizes = [len(split) for _, split in items]
    item = np.repeat(np.arange(len(items)), sizes)
    example = np.concatenate([np.arange(size) for size in sizes])
    lengths = np.concatenate([split.inputs.lengths for _, split in items])
    targets = np.concatenate([split.targets.lengths for _, split in items])
    prompts = np.array([prompt for prompt, _ in items], np.int32)
    every = np.array(sorted({width for width, _ in shapes}))
    fits = smallest_fit([(int(width), 0) for width in every], lengths, np.zeros(len(lengths)))
    widths = every[fits]
    for group in _by_target(lengths, targets, batch_size):
        steps = int(targets[group].max())
        for rows in _cut(group, widths, batch_size, encoding, steps):
            valid = np.arange(batch_size) < len(rows)
            rows = np.concatenate([rows, np.repeat(rows[-1:], batch_size - len(rows))])
            width = int(widths[rows].max())
            tokens = np.zeros((batch_size, width), np.int32)
            for index in np.unique(item[rows]):
                of_item = valid & (item[rows] == index)
                tokens[of_item] = items[index][1].inputs.padded(example[rows][of_item], width)
            yield EvalBatch(tokens, prompts[item[rows]], item[rows], example[rows], valid)


def _by_target(lengths: np.ndarray, targets: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Groups examples by powers of two of their target lengths; each is sorted by input length.

    What does not fill a batch joins the next longer ones.
    """
    levels = np.ceil(np.log2(np.maximum(targets, 1)))
    groups, waiting = [], np.zeros(0, np.int64)
    for level in np.unique(levels):
        waiting = np.concatenate([waiting, np.flatnonzero(levels == level)])
        if len(waiting) >= batch_size:
            groups.append(waiting)
            waiting = waiting[:0]
    if len(waiting):
        groups.append(waiting)
    return [group[np.argsort(lengths[group], kind="stable")] for group in groups]


def _cut(
    rows: np.ndarray, widths: np.ndarray, batch_size: int, encoding: Encoding, steps: int
) -> list[np.ndarray]:
    """Cuts sorted examples into batches, so that encoding and decoding take the least.

    Batches are full but where a run of them ends, and runs end where the padded width changes. The
    least that the first j widths take is f(j) = min over i < j of f(i) + the runs's i..j.
    """
    ends = np.append(np.flatnonzero(np.diff(widths[rows])) + 1, len(rows))
    least, batches = [0.0], [[]]
    for j, end in enumerate(ends):
        choices = []
        for i, start in enumerate([0, *ends[:j]]):
            run = [rows[at : min(at + batch_size, end)] for at in range(start, end, batch_size)]
            counts = np.array([len(batch) for batch in run])
            positions = encoding.positions(counts, widths[[batch[-1] for batch in run]])
            choices.append((least[i] + positions.sum() + len(run) * steps * _STEP, i, run))
        value, i, run = min(choices, key=lambda choice: choice[0])
        least.append(value)
        batches.append(batches[i] + run)
    return batches[-1]
