"""The scores of a transfer study: every target from every candidate source prompt."""

import dataclasses
from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """A source prompt: its task and the seed it was tuned with."""

    source: str
    seed: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TransferScores:
    """Holds what each of T targets scored from each of C source prompts, with J seeds.

    Attributes:
        targets: Target tasks, T.
        seeds: Seeds of the targets, J.
        candidates: Source prompts, C.
        baseline: Test scores of the targets' own prompts, tuned without transfer, `[T, J]`, 0-100.
        scores: Test scores of the transfers `[T, J, C]`, 0-100; NaN where there is none.
        validation: Their validation scores, by which the best of several is chosen, `[T, J, C]`.
    """

    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    candidates: tuple[Candidate, ...]
    baseline: np.ndarray
    scores: np.ndarray
    validation: np.ndarray

    @property
    def sources(self) -> tuple[str, ...]:
        """The source tasks, S."""
        return tuple(dict.fromkeys(candidate.source for candidate in self.candidates))

    def by_source(self, values: np.ndarray) -> np.ndarray:
        """Returns values of candidates `[..., C]` by source and its seeds, `[..., S, I]`.

        Raises:
            ValueError: Sources differ in their number of seeds.
        """
        of = np.array([self.sources.index(candidate.source) for candidate in self.candidates])
        places = [np.flatnonzero(of == source) for source in range(len(self.sources))]
        return np.stack([values[..., place] for place in places], axis=-2)

    def relative_change(self, scores: np.ndarray) -> np.ndarray:
        """Returns the relative error reduction of scores `[T, J, ...]`, in percent.

        That is `100 (e_b - e) / e_b` with e = 100 - score, and e_b the mean error of the target's
        baseline over seeds (Vu et al. 2022, section 4.2); NaN where that is 0.
        """
        error = 100.0 - self.baseline.mean(axis=1)
        error = np.where(error > 0, error, np.nan)
        shape = (-1,) + (1,) * (scores.ndim - 1)
        return 100.0 * (1.0 - (100.0 - scores) / error.reshape(shape))

    @property
    def same_task(self) -> np.ndarray:
        """Whether a candidate is a prompt of the target itself, `[T, C]`."""
        sources = np.array([candidate.source for candidate in self.candidates])
        return np.array(self.targets)[:, None] == sources[None, :]
