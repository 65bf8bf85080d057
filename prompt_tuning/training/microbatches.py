"""Microbatches: the examples of all rows that step together, split to fit the device.

Each microbatch goes through the frozen model by itself, padded to the smallest shape that fits, and
adds to the gradients of the rows its examples belong to.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning.data.batches.padding import Positions, count_positions
from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.data.batches.shapes import Shape, smallest_fit
from prompt_tuning.types import Array


class Microbatches(NamedTuple):
    """n microbatches of b examples, of one shape; filler examples are all padding.

    Attributes:
        encoder_tokens: `[n, b, T]` int32, 0 is padding.
        targets: `[n, b, L]` int32, 0 is padding and has no loss.
        slot: `[n, b]` int32, the slot of each example's row.
        part: `[n, b]` int32, the index of each example's task in its row's mixture.
        example: `[n, b]` int32, the index of each example in its row's batch.
    """

    encoder_tokens: Array
    targets: Array
    slot: Array
    part: Array
    example: Array


class SplitBatches(NamedTuple):
    """The batches of rows, split into microbatches.

    Attributes:
        microbatches: For each shape in use, its arrays and the number of microbatches in them that
            hold examples.
        positions: Encoder positions of the batch of each slot's row, by slot.
    """

    microbatches: list[tuple[Microbatches, int]]
    positions: dict[int, Positions]


class Microbatcher:
    """Splits the batches of rows into microbatches of fixed sizes.

    The number of examples in a microbatch depends only on its shape, and the number of microbatches
    in an array only on the slots and the largest batch, so each shape is compiled once.

    Args:
        sizes: Examples per microbatch for each padded shape (T, L); the largest shape covers all
            others.
        slots: Maximum number of rows that step together.
        batch_size: Maximum number of examples in a row's batch.
        prompt_length: Tokens per prompt, P.
        mixed: Whether a microbatch may hold examples of several rows. If not, a row's update is
            bitwise the same whichever rows step beside it.
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
        """Returns arrays without examples, for every shape."""
        return [self._arrays(s) for s in range(len(self.shapes))]

    def split(self, batches: Mapping[int, HostBatch]) -> SplitBatches:
        """Splits batches, keyed by slot; leftovers of a shape go to the next wider shape in use."""
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
        """Adds the positions of examples of a shape; fillers count for their row."""
        width = self.shapes[s][0]
        for group in groups:
            for slot in np.unique(group.slot):
                cost = count_positions(
                    group.inputs[group.slot == slot],
                    width,
                    prompt_length=self._prompt_length,
                    fillers=self._fillers(s, group) if slot == group.slot[-1] else 0,
                )
                positions[int(slot)] = positions[int(slot)].plus(cost)

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
            # Fillers use a slot of their own microbatch, so that a failed row affects no other.
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
    """Slots, places in their batches, and lengths of examples, each `[n]`."""

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
