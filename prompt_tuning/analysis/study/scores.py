"""What a transfer study found: every target's score from every source prompt, and from none."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.analysis.statistics import Record

ERROR_REDUCTION = "relative error reduction"
PERFORMANCE = "relative performance"


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


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class MethodScores:
    """Holds the test scores of a way to use source prompts.

    Attributes:
        method: `top_k_weighted_average` or `top_k_multitask_mixture`, which have training of their
            own, or one of those that `retrieval.retrievals` finds.
        similarity: By which the k are retrieved; None where it does not matter.
        k: How many; None for all or none.
        scores: `[T, J]`, 0-100.
    """

    method: str
    similarity: str | None
    k: int | None
    scores: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Study:
    """Holds a transfer study.

    Attributes:
        title: What it is of.
        transfer: Its scores.
        measure: What a transfer is judged by: `ERROR_REDUCTION` over the target's own prompt where
            targets were tuned from the source prompts (Vu et al. 2022), `PERFORMANCE` relative to
            the target's own prompt where source prompts were used as they are (Su et al. 2022).
        similarities: By name, of each target's embedding to each candidate's, `[T, J, C]`.
        tasks: All tasks with embeddings, M.
        task_similarities: By name, between all tasks, mean over pairs of seeds, `[M, M]`.
        ks: How many candidates are retrieved, each k a line of the tables.
        methods: Scores of retrieval methods that train from several prompts.
        records: All records of `results.json`, for their learning curves; empty for a given matrix.
        settings: The resolved gin configuration; empty for a given matrix.
        facts: What else to know of how it came about, by name: backbone, versions, date, machine.
    """

    title: str
    transfer: TransferScores
    measure: str
    similarities: Mapping[str, np.ndarray]
    tasks: tuple[str, ...]
    task_similarities: Mapping[str, np.ndarray]
    ks: Sequence[int]
    methods: Sequence[MethodScores]
    records: Sequence[Record]
    settings: str
    facts: Mapping[str, str]

    @property
    def gains(self) -> np.ndarray:
        """What each candidate gives, in percent: `[T, J, C]`, NaN where it was not tried."""
        return self.gain(self.transfer.scores)

    def gain(self, scores: np.ndarray) -> np.ndarray:
        """Returns what scores `[T, J, ...]` are in the study's measure, in percent."""
        if self.measure == ERROR_REDUCTION:
            return self.transfer.relative_change(scores)
        own = self.transfer.baseline.reshape(
            self.transfer.baseline.shape + (1,) * (scores.ndim - 2)
        )
        return 100.0 * scores / np.where(own > 0, own, np.nan)
