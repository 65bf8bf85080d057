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
    """Holds the test scores of a way to use retrieved prompts that has training of its own.

    Attributes:
        method: `top_k_weighted_average` or `top_k_multitask_mixture`.
        similarity: By which the k are retrieved.
        k: How many.
        scores: `[T, J]`, 0-100.
    """

    method: str
    similarity: str
    k: int
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
    methods: Sequence[MethodScores]
    rows: Sequence[Row]
    settings: str
    facts: Mapping[str, str]

    @property
    def gains(self) -> np.ndarray:
        """What each candidate gives, in percent: `[T, J, C]`, NaN where it was not tried."""
        if self.measure == ERROR_REDUCTION:
            return self.transfer.relative_change(self.transfer.scores)
        own = self.transfer.baseline[..., None]
        return 100.0 * self.transfer.scores / np.where(own > 0, own, np.nan)
