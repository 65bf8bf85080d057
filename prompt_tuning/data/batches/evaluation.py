"""Batches for evaluation: every example once, with different prompts in one batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data.batches.shapes import Shape, smallest_fit
from prompt_tuning.data.cached_task import CachedSplit

Item = tuple[int, CachedSplit]
"""The index of a prompt in the bank, and the examples to run it on."""

_STEP = 128
"""The cost of decoding one more token for a batch, in encoder positions.

It takes as long as about 400 (T5 small on a CPU), but answers end early."""


class EvalBatch(NamedTuple):
    """Examples of one or several items.

    Attributes:
        encoder_tokens: `[B, T]` int32, padded with 0; all 0 for fillers of the batch.
        prompt_id: `[B]` int32, the prompt of each example.
        item: `[B]`, the index of each example's item.
        example: `[B]`, the index of each example within its item.
        valid: `[B]` bool, False for fillers, which come last.
    """

    encoder_tokens: np.ndarray
    prompt_id: np.ndarray
    item: np.ndarray
    example: np.ndarray
    valid: np.ndarray


class Encoding(NamedTuple):
    """The cost of encoding a batch.

    Attributes:
        prompt_length: Prompt tokens in front of each example, P.
        pass_size: Maps a width T to the number of examples encoded in one pass. A batch takes as
            many passes as its examples fill.
    """

    prompt_length: int
    pass_size: Callable[[int], int]

    def positions(self, examples: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Returns the encoder positions of batches `[n]`, from their sizes and widths."""
        sizes = np.array([self.pass_size(int(width)) for width in widths], np.int64)
        return -(-examples // sizes) * sizes * (self.prompt_length + widths)


def eval_batches(
    items: Sequence[Item], *, batch_size: int, shapes: Sequence[Shape], encoding: Encoding
) -> Iterator[EvalBatch]:
    """Yields every example of every item once, batched with examples of similar lengths.

    Examples with long targets, which take longer to decode, are batched apart from those with short
    ones, as far as they fill batches. Then examples are sorted by input length, and a batch is left
    short if filling it with longer examples would cost more than another batch.

    Args:
        items: Prompts and their examples; a split may occur several times.
        batch_size: The size B of every batch, fillers included.
        shapes: Shapes (T, L); batches are padded to one of the T.
        encoding: The cost of encoding a batch.

    Raises:
        ValueError: An example is longer than every shape.
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
        for chosen in _cut(group, widths, batch_size, encoding, steps):
            valid = np.arange(batch_size) < len(chosen)
            chosen = np.concatenate([chosen, np.repeat(chosen[-1:], batch_size - len(chosen))])
            width = int(widths[chosen].max())
            tokens = np.zeros((batch_size, width), np.int32)
            for index in np.unique(item[chosen]):
                of_item = valid & (item[chosen] == index)
                tokens[of_item] = items[index][1].inputs.padded(example[chosen][of_item], width)
            yield EvalBatch(tokens, prompts[item[chosen]], item[chosen], example[chosen], valid)


def _by_target(lengths: np.ndarray, targets: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Groups examples by the power of two of their target length, each sorted by input length.

    A group too small to fill a batch joins the next longer one.
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
    group: np.ndarray, widths: np.ndarray, batch_size: int, encoding: Encoding, steps: int
) -> list[np.ndarray]:
    """Cuts sorted examples into the batches that cost the least to encode and decode.

    Examples are cut into runs where the padded width changes, and each run into full batches and a
    last one. The least cost of the first j widths is f(j) = min over i < j of f(i) + c(i, j), where
    c(i, j) is the cost of a run of widths i to j - 1.
    """
    ends = np.append(np.flatnonzero(np.diff(widths[group])) + 1, len(group))
    least, batches = [0.0], [[]]
    for j, end in enumerate(ends):
        choices = []
        for i, start in enumerate([0, *ends[:j]]):
            run = [group[at : min(at + batch_size, end)] for at in range(start, end, batch_size)]
            counts = np.array([len(batch) for batch in run])
            positions = encoding.positions(counts, widths[[batch[-1] for batch in run]])
            choices.append((least[i] + positions.sum() + len(run) * steps * _STEP, i, run))
        value, i, run = min(choices, key=lambda choice: choice[0])
        least.append(value)
        batches.append(batches[i] + run)
    return batches[-1]
