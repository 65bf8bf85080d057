"""Token sequences of different lengths in one flat array."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences end to end: sequence i is `tokens[offsets[i]:offsets[i + 1]]`.

    Attributes:
        tokens: All token ids, int32, in memory or mapped from a file.
        offsets: `[n + 1]` int64 for n sequences, from 0 to `len(tokens)`.
    """

    tokens: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens in each sequence, `[n]` int64."""
        return np.diff(self.offsets)

    def sequences(self, start: int, stop: int) -> "Ragged":
        """Returns sequences `start` to `stop - 1`, without copying their tokens."""
        offsets = self.offsets[start : stop + 1]
        return Ragged(self.tokens[offsets[0] : offsets[-1]], offsets - offsets[0])

    def padded(self, indices: np.ndarray, width: int) -> np.ndarray:
        """Returns the sequences at `indices` as `[len(indices), width]` int32, padded with 0.

        Sequences longer than `width` are cut.
        """
        if len(self.tokens) == 0:
            return np.zeros((len(indices), width), np.int32)
        starts = self.offsets[indices]
        columns = np.arange(width)
        inside = columns < (self.offsets[indices + 1] - starts)[:, None]
        places = np.where(inside, starts[:, None] + columns, 0)
        return np.where(inside, self.tokens[places], np.int32(0))


def from_sequences(sequences: Iterable[Sequence[int] | np.ndarray]) -> Ragged:
    """Joins sequences of token ids."""
    arrays = [np.asarray(sequence, np.int32) for sequence in sequences]
    offsets = np.zeros(len(arrays) + 1, np.int64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return Ragged(np.concatenate([*arrays, np.zeros(0, np.int32)]), offsets)


def concatenate(parts: Sequence[Ragged]) -> Ragged:
    """Joins the sequences of all parts, in order; a single part is not copied."""
    if not parts:
        return from_sequences([])
    if len(parts) == 1:
        return parts[0]
    shifts = np.cumsum([0, *(part.offsets[-1] for part in parts)])
    offsets = [part.offsets[1:] + shift for part, shift in zip(parts, shifts[:-1], strict=True)]
    return Ragged(
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([np.zeros(1, np.int64), *offsets]),
    )


def padded(parts: Sequence[Ragged], indices: np.ndarray, width: int) -> np.ndarray:
    """Returns `Ragged.padded` of several parts, whose sequences are numbered through."""
    values = np.zeros((len(indices), width), np.int32)
    first = 0
    for part in parts:
        inside = (indices >= first) & (indices < first + len(part))
        values[inside] = part.padded(indices[inside] - first, width)
        first += len(part)
    return values
