"""Seeded random choices, the same on every machine."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 8192


class Draw:
    """Makes random choices that depend on its keys alone.

    Uniform numbers come from PCG64 in blocks, which is about ten times faster than calling the
    generator for each. String keys enter through CRC-32, as `hash` differs between processes.
    """

    def __init__(self, *keys: int | str):
        entropy = [k if isinstance(k, int) else zlib.crc32(k.encode()) for k in keys]
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        self._block: list[float] = []

    def uniform(self) -> float:
        """Draws a number from [0, 1)."""
        if not self._block:
            self._block = self._generator.random(_BLOCK).tolist()
        return self._block.pop()

    def below(self, n: int) -> int:
        """Draws an integer from 0 to n - 1."""
        return int(self.uniform() * n)

    def chance(self, probability: float) -> bool:
        """Returns True with the given probability."""
        return self.uniform() < probability

    def one(self, items: Sequence[T]) -> T:
        """Draws one item."""
        return items[int(self.uniform() * len(items))]

    def other(self, items: Sequence[T], *taken: T) -> T:
        """Draws one item that is not in `taken`."""
        while True:
            item = self.one(items)
            if item not in taken:
                return item

    def some(self, items: Sequence[T], n: int) -> list[T]:
        """Draws n distinct items, in random order."""
        chosen: list[T] = []
        while len(chosen) < n:
            chosen.append(self.other(items, *chosen))
        return chosen

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Returns the items in random order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(len(rest))]
