"""The scores of a transfer study: every target from every source prompt, and without transfer."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.analysis.statistics import Record, finite_mean

ERROR_REDUCTION = "relative error reduction"
PERFORMANCE = "relative performance"


class Candidate(NamedTuple):
    """A source prompt: its task and the seed it was tuned with."""

    source: str
    seed: int


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class TransferScores:
    """The scores of T targets from each of C source prompts, with J seeds.

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

    def source_means(self, values: np.ndarray) -> np.ndarray:
        """Returns the means of finite values `[T, J, C]` over pairs of seeds, `[T, S]`."""
        names = np.array([candidate.source for candidate in self.candidates])
        means = [finite_mean(values[..., names == source], (1, 2)) for source in self.sources]
        return np.stack(means, axis=-1)

    def relative_change(self, scores: np.ndarray) -> np.ndarray:
        """Returns the relative error reduction of scores `[T, J, ...]`, in percent.

        `100 (e_b - e) / e_b`, where e = 100 - score and e_b is the mean error of the target's
        baseline over seeds (Vu et al. 2022, section 4.2); NaN where e_b is 0.
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
    """The test scores of one way to use source prompts.

    Attributes:
        method: `top_k_weighted_average` or `top_k_multitask_mixture`, which train further rows, or
            a method of `retrieval.retrievals`.
        similarity: Similarity that retrieves the k prompts; None where none is used.
        k: Number of prompts; None for all or none.
        scores: `[T, J]`, 0-100.
    """

    method: str
    similarity: str | None
    k: int | None
    scores: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Study:
    """A transfer study.

    Attributes:
        title: Title of its report.
        transfer: Its scores.
        measure: Measure of a transfer: `ERROR_REDUCTION` over the target's own prompt where targets
            were tuned from the source prompts (Vu et al. 2022), `PERFORMANCE` relative to the
            target's own prompt where source prompts were used unchanged (Su et al. 2022).
        similarities: By name, of each target's embedding to each candidate's, `[T, J, C]`.
        tasks: All tasks with embeddings, M.
        task_similarities: By name, between all tasks, mean over pairs of seeds, `[M, M]`.
        ks: Numbers of candidates to retrieve; each k is a line of the tables.
        methods: Scores of retrieval methods that train from several prompts.
        records: All records of `results.json`, for their learning curves; empty for a given matrix.
        settings: The resolved gin configuration; empty for a given matrix.
        facts: Provenance, by name: backbone, versions, date, machine.
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
        """The gain of each candidate in the study's measure, in percent, `[T, J, C]`.

        NaN where the transfer was not run.
        """
        return self.gain(self.transfer.scores)

    def gain(self, scores: np.ndarray) -> np.ndarray:
        """Returns scores `[T, J, ...]` in the study's measure, in percent."""
        if self.measure == ERROR_REDUCTION:
            return self.transfer.relative_change(scores)
        own = self.transfer.baseline.reshape(
            self.transfer.baseline.shape + (1,) * (scores.ndim - 2)
        )
        return 100.0 * scores / np.where(own > 0, own, np.nan)
