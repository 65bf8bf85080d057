"""Divides the examples of each window of batches among the parts of a mixture."""

import math
from collections.abc import Sequence

import numpy as np

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Quotas:
    """Divides the slots of windows among parts by their rates.

    This is systematic sampling: with C the cumulative rates, S the slots and u_w in [0, 1), part i
    gets floor(S C_{i+1} + u_w) - floor(S C_i + u_w) slots of window w, its share to within one. u_w
    advances by the golden ratio, so that the rounding evens out over windows.

    Args:
        rates: The rate of each part, relative to the others.
        slots: Examples in a window, S.
        phase: u_0, in [0, 1).
    """

    def __init__(self, rates: Sequence[float], slots: int, phase: float):
        shares = np.array(rates, float)
        self._cumulative = np.concatenate([[0.0], np.cumsum(shares)]) / shares.sum()
        self._cumulative[-1] = 1.0
        self._slots = slots
        self._phase = phase
        self._counted: tuple[int, np.ndarray] = (0, np.zeros(len(shares), np.int64))

    def of(self, windows: np.ndarray) -> np.ndarray:
        """Returns the slots of each part in each window, `[windows, parts]`."""
        phases = (self._phase + windows * _GOLDEN) % 1.0
        edges = np.floor(self._slots * self._cumulative + phases[:, None])
        return np.diff(edges.astype(np.int64), axis=1)

    def before(self, window: int) -> np.ndarray:
        """Returns the slots of each part in all windows before one, `[parts]`."""
        known, counts = self._counted
        if known > window:
            known, counts = 0, np.zeros_like(counts)
        counts = counts + self.of(np.arange(known, window)).sum(0)
        self._counted = (window, counts)
        return counts
