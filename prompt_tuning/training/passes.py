"""Passes: the examples of all rows that step together, cut into parts that fit the device.

A step's cost is that of its passes. Each goes through the frozen model by itself, padded to the
smallest shape that holds it, and adds to the gradient of the rows its examples are of.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data.padding import Positions, count_positions
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


class Cut(NamedTuple):
    """Holds the batches of rows, cut into passes.

    Attributes:
        passes: For each shape in use its arrays, and how many of their passes hold examples.
        positions: What each slot's row costs in encoder positions.
    """

    passes: list[tuple[Passes, int]]
    positions: dict[int, Positions]


class Cutter:
    """Cuts the batches of rows into passes.

    How many examples a pass has depends on its shape alone, and how many passes an array holds on
    the slots and the largest batch, so that each shape is compiled once.

    Args:
        sizes: Pairs (T, L) that passes are padded to, with the examples of a pass of that shape;
            each shape is covered by the largest.
        slots: Rows that step together, at most.
        batch_size: Examples of a row's batch, at most.
        prompt_length: Tokens of a prompt, P.
        mixed: Whether a pass may hold examples of several rows. Where it may not, a row's update
            is the same to the last bit whatever steps beside it.
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
        groups, examples = (1, slots * batch_size) if mixed else (slots, batch_size)
        self._counts = [groups * -(-examples // size) for size in self._sizes]
        self._wider = [
            [w for w in range(s + 1, len(self.shapes)) if self._covers(w, s)]
            for s in range(len(self.shapes))
        ]

    def empty(self) -> list[Passes]:
        """Returns the arrays of every shape, without an example."""
        return [self._arrays(s) for s in range(len(self.shapes))]

    def cut(self, batches: Mapping[int, HostBatch]) -> Cut:
        """Cuts batches by slot. What is left of a shape after full passes joins a wider one."""
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
        cut = Cut([], dict.fromkeys(slots, Positions()))
        for s, parts in enumerate(found):
            if parts:
                cut.passes.append(self._fill(s, parts, batches))
                self._count(s, parts, cut.positions)
        return cut

    def _covers(self, wide: int, narrow: int) -> bool:
        return all(a >= b for a, b in zip(self.shapes[wide], self.shapes[narrow], strict=True))

    def _fillers(self, s: int, examples: "_Examples") -> int:
        return -len(examples.slot) % self._sizes[s]

    def _count(self, s: int, parts: Sequence["_Examples"], positions: dict[int, Positions]) -> None:
        """Adds what examples of a shape cost; fillers count for the row that they are of."""
        width = self.shapes[s][0]
        for part in parts:
            for slot in np.unique(part.slot):
                more = count_positions(
                    part.inputs[part.slot == slot],
                    width,
                    prompt_length=self._prompt_length,
                    fillers=self._fillers(s, part) if slot == part.slot[-1] else 0,
                )
                positions[int(slot)] = positions[int(slot)].plus(more)

    def _arrays(self, s: int) -> Passes:
        outer = (self._counts[s], self._sizes[s])
        tokens, targets = (np.zeros((*outer, length), np.int32) for length in self.shapes[s])
        return Passes(tokens, targets, np.zeros(outer, np.int32), np.zeros(outer, np.int32))  # pyright: ignore[reportArgumentType]

    def _fill(
        self, s: int, parts: Sequence["_Examples"], batches: Mapping[int, HostBatch]
    ) -> tuple[Passes, int]:
        passes = self._arrays(s)
        tokens, targets, slots, places = (np.reshape(x, (-1, *x.shape[2:])) for x in passes)
        start = 0
        for part in parts:
            end = start + len(part.slot) + self._fillers(s, part)
            # A filler is of a row of its pass, so that a row that failed reaches no other.
            slots[start:end] = part.slot[-1]
            for slot in np.unique(part.slot):
                chosen = np.flatnonzero(part.slot == slot)
                rows = start + chosen
                slots[rows], places[rows] = slot, part.place[chosen]
                _copy(batches[slot].encoder_tokens[part.place[chosen]], tokens, rows)
                _copy(batches[slot].targets[part.place[chosen]], targets, rows)
            start = end
        return passes, start // self._sizes[s]


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


def _copy(values: np.ndarray, into: np.ndarray, rows: np.ndarray) -> None:
    width = min(values.shape[1], into.shape[1])
    into[rows, :width] = values[:, :width]
