"""What a transfer study found, as its tables, figures and page take it."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from prompt_tuning.analysis.statistics import Row
from prompt_tuning.analysis.transfer_scores import TransferScores

ERROR_REDUCTION = "relative error reduction"
PERFORMANCE = "relative performance"


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
        rows: All rows of `results.json`, for their learning curves; empty for a given matrix.
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
    rows: Sequence[Row]
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
