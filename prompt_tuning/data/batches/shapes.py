"""Chooses the few shapes that batches are padded to, from the lengths of the examples."""

from collections.abc import Sequence

import numpy as np

from prompt_tuning.data.cached_task import CachedSplit

Shape = tuple[int, int]
"""Input tokens T and target tokens L that every example of a batch is padded to."""

_MOST_WIDTHS = 128
_WORTH = 1.01  # the cost worth paying for fewer shapes, each of which is compiled
_NEVER = np.int64(2**62) // 2


def choose_shapes(splits: Sequence[CachedSplit], count: int, multiple: int) -> list[Shape]:
    """Chooses shapes that fit all examples with the fewest padding tokens.

    Examples are sorted twice, by input length first and by target length first. Dynamic programming
    cuts each order into groups, padded to their longest inputs and targets. Of all cuts into at
    most `count` groups, the function takes the one with the fewest groups that has at most 1 % more
    tokens than the best. The last shape fits every example.

    Input and target tokens count the same. A padded target token costs 1.0 (XXL) to 1.8 (small)
    times the multiplications of an input token: the decoder and the output layer, against the
    encoder and the cross-attention's keys and values. Prompts add the same to every example, and so
    do not affect the choice.

    Args:
        splits: The splits that batches are drawn from.
        count: The most shapes to return; each is compiled.
        multiple: Input lengths are rounded up to a multiple of this many tokens.

    Raises:
        ValueError: There are no examples, or `count` or `multiple` is not positive.
    """
    if count < 1 or multiple < 1:
        raise ValueError(f"count {count} and multiple {multiple} must be positive")
    inputs = np.concatenate([split.inputs.lengths for split in splits])
    targets = np.concatenate([split.targets.lengths for split in splits])
    if len(inputs) == 0:
        raise ValueError("no examples to choose shapes for")
    step = multiple * int(np.ceil(inputs.max() / multiple / _MOST_WIDTHS))
    widths = np.maximum(-(-inputs // step), 1) * step
    levels = np.minimum(2 ** np.ceil(np.log2(np.maximum(targets, 2))), targets.max()).astype(int)
    cells, examples = np.unique(np.stack([widths, levels], 1), axis=0, return_counts=True)
    by_target = np.lexsort((cells[:, 0], cells[:, 1]))
    by_input, examples_by_input = _merge_targets(cells, examples)
    cuts = _cuts(by_input, examples_by_input, count)
    cuts += _cuts(cells[by_target], examples[by_target], count)
    most = _WORTH * min(tokens for tokens, _ in cuts)
    _, shapes = min((cut for cut in cuts if cut[0] <= most), key=lambda cut: (len(cut[1]), cut[0]))
    return shapes


def smallest_fit(shapes: Sequence[Shape], inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Returns the index of the smallest shape that fits each pair of lengths, `[n]`.

    Args:
        shapes: In any order.
        inputs: `[n]` input tokens.
        targets: `[n]` target tokens.

    Raises:
        ValueError: A pair fits no shape.
    """
    best = np.full(len(inputs), -1)
    for index in sorted(range(len(shapes)), key=lambda i: -sum(shapes[i])):
        width, length = shapes[index]
        best = np.where((inputs <= width) & (targets <= length), index, best)
    if len(best) and best.min() < 0:
        bad = int(np.argmin(best))
        raise ValueError(
            f"an example of {inputs[bad]} input and {targets[bad]} target tokens fits none of "
            f"the shapes {list(shapes)}"
        )
    return best


def _merge_targets(cells: np.ndarray, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merges the cells of each input length, with the longest of their target lengths."""
    widths, which = np.unique(cells[:, 0], return_inverse=True)
    lengths = np.zeros(len(widths), np.int64)
    np.maximum.at(lengths, which, cells[:, 1])
    return np.stack([widths, lengths], 1), np.bincount(which, examples).astype(np.int64)


def _cuts(cells: np.ndarray, examples: np.ndarray, count: int) -> list[tuple[int, list[Shape]]]:
    """Cuts ordered cells into 1, 2, ..., `count` groups; returns the tokens and shapes of each cut.

    With w(i, j) the tokens of cells i..j padded to the widest of them, the fewest tokens of cells
    0..j in k groups are f(k, j) = min over i of f(k - 1, i - 1) + w(i, j).
    """
    size = len(cells)
    before = np.concatenate([[0], np.cumsum(examples)])
    widest = np.zeros((size, size, 2), np.int64)
    for end in range(size):
        widest[: end + 1, end] = np.maximum.accumulate(cells[end::-1], 0)[::-1]
    widest[:, -1] = cells.max(0)  # a batch that straddles groups needs a shape too
    tokens = (before[1:] - before[:-1, None]) * widest.sum(-1)
    tokens = np.where(np.arange(size)[:, None] <= np.arange(size), tokens, _NEVER)
    fewest, starts = tokens[0], [np.zeros(size, np.int64)]
    cuts = [(int(fewest[-1]), _shapes(widest, starts))]
    for _ in range(min(count, size) - 1):
        extended = np.full((size, size), _NEVER)
        extended[0] = tokens[0]
        extended[1:] = np.minimum(fewest[:-1, None] + tokens[1:], _NEVER)
        starts.append(extended.argmin(0))
        fewest = extended.min(0)
        cuts.append((int(fewest[-1]), _shapes(widest, starts)))
    return cuts


def _shapes(widest: np.ndarray, starts: list[np.ndarray]) -> list[Shape]:
    """Returns the shapes of a cut, given the start of the last group for each number of groups."""
    shapes, end = set(), len(widest) - 1
    for start in reversed(starts):
        width, length = widest[start[end], end]
        shapes.add((int(width), int(length)))
        if start[end] == 0:
            break
        end = int(start[end]) - 1
    return sorted(shapes)
