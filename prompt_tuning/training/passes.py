"""Passes: the examples of all rows that step together, cut into parts that fit the device.

A step's cost is that of its passes. Each goes through the frozen model by itself, padded to the
smallest shape that holds it, and adds to the gradient of the rows its examples are of.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.data.shapes import Shape, smallest_fit
from prompt_tuning.types import Array


class Passes(NamedTuple):
    """Holds passes of one shape; examples that fill up a pass are all padding.

    Attributes:
        encoder_tokens: `[n, b, T]` int32, 0 is padding.
        targets: `[n, b, L]` int32, 0 is padding and carries no loss.
        slot: `[n, b]` int32, the slot of each example's row.
        example: `[n, b]` int32, each example's place in its row's batch.
    """

    encoder_tokens: Array
    targets: Array
    slot: Array
    example: Array


class Cutter:
    """Cuts the batches of rows into passes.

    How many examples a pass has depends on its shape alone, and how many passes an array holds on
    the slots and the largest batch, so that each shape is compiled once.

    Args:
        sizes: Pairs (T, L) that passes are padded to, with the examples of a pass of that shape;
            each shape is covered by the largest.
        slots: Rows that step together, at most.
        batch_size: Examples of a row's batch, at most.
        mixed: Whether a pass may hold examples of several rows. Where it may not, a row's update
            is the same to the last bit whatever steps beside it.
    """

    def __init__(
        self,
        sizes: Mapping[Shape, int],
        *,
        slots: int,
        batch_size: int,
        mixed: bool,
    ):
        self.shapes = sorted(sizes)
        self._mixed = mixed
        self._sizes = [sizes[shape] for shape in self.shapes]
        groups, examples = (1, slots * batch_size) if mixed else (slots, batch_size)
        self._counts = [groups * -(-examples // size) for size in self._sizes]
        self._wider = [
            [w for w in range(s + 1, len(self.shapes)) if self._covers(w, s)]
            for s in range(len(self.shapes))
        ]

    def empty(self) -> list[Passes]:
        """Returns the arrays of every shape, without an example."""
        return [self._arrays(s) for s in range(len(self.shapes))]

    def cut(self, batches: Mapping[int, HostBatch]) -> list[tuple[Passes, int]]:
        """Returns the passes of batches by slot: for each shape in use the arrays, and their count.

        What is left of a shape after full passes joins those of a wider one.
        """
        slots = sorted(batches)
        found: list[list[_Examples]] = [[] for _ in self.shapes]
        for group in [slots] if self._mixed else [[slot] for slot in slots]:
            examples = _examples({slot: batches[slot] for slot in group})
            fit = smallest_fit(self.shapes, examples.inputs, examples.targets)
            for s, size in enumerate(self._sizes):
                members = np.flatnonzero(fit == s)
                left = members[len(members) - len(members) % size :]
                wider = next((w for w in self._wider[s] if (fit == w).any()), None)
                if wider is not None and len(left):
                    fit[left] = wider
                    members = members[: -len(left)]
                if len(members):
                    found[s].append(examples.take(members))
        return [
            (self._fill(s, of_shape, batches), sum(self._needed(s, part) for part in of_shape))
            for s, of_shape in enumerate(found)
            if of_shape
        ]

    def _covers(self, wide: int, narrow: int) -> bool:
        return all(a >= b for a, b in zip(self.shapes[wide], self.shapes[narrow], strict=True))

    def _needed(self, s: int, examples: "_Examples") -> int:
        return -(-len(examples.slot) // self._sizes[s])

    def _arrays(self, s: int) -> Passes:
        outer = (self._counts[s], self._sizes[s])
        tokens, targets = (np.zeros((*outer, length), np.int32) for length in self.shapes[s])
        return Passes(tokens, targets, np.zeros(outer, np.int32), np.zeros(outer, np.int32))  # pyright: ignore[reportArgumentType]

    def _fill(
        self, s: int, parts: Sequence["_Examples"], batches: Mapping[int, HostBatch]
    ) -> Passes:
        passes = self._arrays(s)
        tokens, targets, slots, places = (np.reshape(x, (-1, *x.shape[2:])) for x in passes)
        start = 0
        for part in parts:
            end = start + self._needed(s, part) * self._sizes[s]
            # A filler is of a row of its pass, so that a row that failed reaches no other.
            slots[start:end] = part.slot[-1]
            for slot in np.unique(part.slot):
                chosen = np.flatnonzero(part.slot == slot)
                rows = start + chosen
                slots[rows], places[rows] = slot, part.place[chosen]
                _copy(batches[slot].encoder_tokens[part.place[chosen]], tokens, rows)
                _copy(batches[slot].targets[part.place[chosen]], targets, rows)
            start = end
        return passes


class _Examples(NamedTuple):
    """Holds where examples are, and their lengths, each `[n]`."""

    slot: np.ndarray
    place: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray

    def take(self, members: np.ndarray) -> "_Examples":
        return _Examples(*(values[members] for values in self))


def _examples(batches: Mapping[int, HostBatch]) -> _Examples:
    sizes = [len(batch.targets) for batch in batches.values()]
    return _Examples(
        np.repeat(list(batches), sizes),
        np.concatenate([np.arange(size) for size in sizes]),
        np.concatenate([(batch.encoder_tokens > 0).sum(1) for batch in batches.values()]),
        np.concatenate([(batch.targets > 0).sum(1) for batch in batches.values()]),
    )


def _copy(values: np.ndarray, into: np.ndarray, rows: np.ndarray) -> None:
    width = min(values.shape[1], into.shape[1])
    into[rows, :width] = values[:, :width]
