"""Microbatches: the examples of all rows that step together, cut into parts that fit the device.

A step's cost is that of its microbatches. Each goes through the frozen model by itself, padded to
the smallest shape that holds it, and adds to the gradient of the rows its examples are of.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning.data.batches.padding import Positions, count_positions
from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.data.batches.shapes import Shape, smallest_fit
from prompt_tuning.types import Array


class Microbatches(NamedTuple):
    """Microbatches of one shape; examples that fill one up are all padding.

    Attributes:
        encoder_tokens: `[n, b, T]` int32, 0 is padding.
        targets: `[n, b, L]` int32, 0 is padding and carries no loss.
        slot: `[n, b]` int32, the slot of each example's row.
        part: `[n, b]` int32, the task of its row's mixture that each example is of.
        example: `[n, b]` int32, each example's place in its row's batch.
    """

    encoder_tokens: Array
    targets: Array
    slot: Array
    part: Array
    example: Array


class SplitBatches(NamedTuple):
    """The batches of rows, split into microbatches.

    Attributes:
        microbatches: For each shape in use its arrays, and how many of their microbatches hold
            examples.
        positions: What each slot's row costs in encoder positions.
    """

    microbatches: list[tuple[Microbatches, int]]
    positions: dict[int, Positions]


class Microbatcher:
    """Splits the batches of rows into microbatches of fixed sizes.

    How many examples a microbatch has depends on its shape alone, and how many of them an array
    holds on the slots and the largest batch, so that each shape is compiled once.

    Args:
        sizes: Pairs (T, L) that microbatches are padded to, with the examples of one of that
            shape; each shape is covered by the largest.
        slots: Rows that step together, at most.
        batch_size: Examples of a row's batch, at most.
        prompt_length: Tokens of a prompt, P.
        mixed: Whether a microbatch may hold examples of several rows. Where it may not, a row's
            update is the same to the last bit whatever steps beside it.
    """

    def __init__(
        self,
        sizes: Mapping[Shape, int],
        *,
        slots: int,
        batch_size: int,
        prompt_length: int,
        mixed: bool,
    ):
        self.shapes = sorted(sizes)
        self._prompt_length = prompt_length
        self._mixed = mixed
        self._sizes = [sizes[shape] for shape in self.shapes]
        sharing, examples = (1, slots * batch_size) if mixed else (slots, batch_size)
        self._counts = [sharing * -(-examples // size) for size in self._sizes]
        self._wider = [
            [w for w in range(s + 1, len(self.shapes)) if self._covers(w, s)]
            for s in range(len(self.shapes))
        ]

    def empty(self) -> list[Microbatches]:
        """Returns the arrays of every shape, without an example."""
        return [self._arrays(s) for s in range(len(self.shapes))]

    def split(self, batches: Mapping[int, HostBatch]) -> SplitBatches:
        """Splits batches by slot; leftovers of a shape go to the next wider one in use."""
        slots = sorted(batches)
        groups: list[list[_Examples]] = [[] for _ in self.shapes]
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
                    groups[s].append(examples.take(members))
        split = SplitBatches([], dict.fromkeys(slots, Positions()))
        for s, members in enumerate(groups):
            if members:
                split.microbatches.append(self._fill(s, members, batches))
                self._count(s, members, split.positions)
        return split

    def _covers(self, wide: int, narrow: int) -> bool:
        return all(a >= b for a, b in zip(self.shapes[wide], self.shapes[narrow], strict=True))

    def _fillers(self, s: int, examples: "_Examples") -> int:
        return -len(examples.slot) % self._sizes[s]

    def _count(
        self, s: int, groups: Sequence["_Examples"], positions: dict[int, Positions]
    ) -> None:
        """Adds what examples of a shape cost; fillers count for the row that they are of."""
        width = self.shapes[s][0]
        for group in groups:
            for slot in np.unique(group.slot):
                more = count_positions(
                    group.inputs[group.slot == slot],
                    width,
                    prompt_length=self._prompt_length,
                    fillers=self._fillers(s, group) if slot == group.slot[-1] else 0,
                )
                positions[int(slot)] = positions[int(slot)].plus(more)

    def _arrays(self, s: int) -> Microbatches:
        outer = (self._counts[s], self._sizes[s])
        tokens, targets = (np.zeros((*outer, length), np.int32) for length in self.shapes[s])
        return Microbatches(tokens, targets, *(np.zeros(outer, np.int32) for _ in range(3)))  # pyright: ignore[reportArgumentType]

    def _fill(
        self, s: int, groups: Sequence["_Examples"], batches: Mapping[int, HostBatch]
    ) -> tuple[Microbatches, int]:
        microbatches = self._arrays(s)
        flat = Microbatches(*(np.reshape(x, (-1, *x.shape[2:])) for x in microbatches))  # pyright: ignore[reportArgumentType]
        start = 0
        for group in groups:
            end = start + len(group.slot) + self._fillers(s, group)
            # A filler is of a row of its microbatch, so that a row that failed reaches no other.
            flat.slot[start:end] = group.slot[-1]  # pyright: ignore[reportIndexIssue]
            for slot in np.unique(group.slot):
                members = np.flatnonzero(group.slot == slot)
                rows, places, batch = start + members, group.place[members], batches[slot]
                for array, values in zip(flat[2:], (slot, batch.part[places], places), strict=True):
                    array[rows] = values
                for array, values in zip(flat, batch[:2], strict=False):
                    _copy(values[places], array, rows)
            start = end
        return microbatches, start // self._sizes[s]


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
        np.concatenate([batch.input_lengths for batch in batches.values()]),
        np.concatenate([(batch.targets > 0).sum(1) for batch in batches.values()]),
    )


def _copy(values: np.ndarray, into: Any, rows: np.ndarray) -> None:
    width = min(values.shape[1], into.shape[1])
    into[rows, :width] = values[:, :width]
