"""The transfer study (Vu et al. 2022, section 4): every target from every source prompt."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.starts import FromRow, WeightedAverage
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.similarity import SIMILARITIES, ranked, similarities
from prompt_tuning.transfer.study_plan import AVERAGE, MIXTURE, StudyPlan, study_row

Tune = Callable[[Sequence[Row], Mapping[str, tuple[str, ...]]], list[Outcome]]
"""Trains rows to their ends; those it was given before are not trained again.

The second argument names the tasks of each mixture that rows train on beside registered ones.
"""


class StudyRetrieval:
    """Finds the source prompts whose embeddings are most similar to those of the targets.

    Args:
        plan: The study.
        directory: Where the prompts of `plan.first_rows` are.

    Attributes:
        similarities: By name, of each target's embedding to each candidate's, `[T, J, C]`.

    Raises:
        UserError: A prompt file of the run is missing or damaged.
    """

    def __init__(self, plan: StudyPlan, directory: RunDirectory):
        self._plan = plan
        self._directory = directory
        keys = self.embeddings(plan.candidates)
        queries = self.embeddings(plan.replicates)
        queries = queries.reshape(len(plan.targets), len(plan.target_seeds), *queries.shape[1:])
        self.similarities = {name: similarities(queries, keys, name) for name in SIMILARITIES}

    def embeddings(self, of: Sequence[tuple[str, int]]) -> np.ndarray:
        """Returns the embeddings of tasks and seeds, `[N, P, H]`."""
        rows = [self._directory.row(self._plan.embedding_name(*each)) for each in of]
        return np.stack([files.load(row / "last.safetensors").array for row in rows])

    @property
    def mixtures(self) -> dict[str, tuple[str, ...]]:
        """The mixtures to train on: of each, the target and the tasks of its top prompts."""
        return dict(
            self._mixture(target, seed, similarity, k)
            for target, seed, similarity in self._queries
            for k in self._plan.mixtures
        )

    @property
    def rows(self) -> list[Row]:
        """Targets from the weighted averages and the mixtures of their top k source prompts."""
        found = [
            row
            for query in self._queries
            for row in (*self._average_rows(*query), *self._mixture_rows(*query))
        ]
        return list({row.name: row for row in found}.values())

    @property
    def _queries(self) -> list[tuple[str, int, str]]:
        """Target, seed and similarity of everything that is retrieved."""
        pairs = itertools.product(self._plan.replicates, SIMILARITIES)
        return [(target, seed, similarity) for (target, seed), similarity in pairs]

    def _average_rows(self, target: str, seed: int, similarity: str) -> Iterator[Row]:
        """Yields rows that start from `sum_r a_r P_r` of the top prompts, a_r = sim_r / sum sim."""
        plan = self._plan
        for k in plan.averages:
            values, top = self._top(target, seed, similarity, k)
            paths = [
                str(self._directory.row(plan.source_name(*each)) / "best.safetensors")
                for each in top
            ]
            yield study_row(
                plan.method_name(AVERAGE, target, seed, similarity, k),
                target,
                seed,
                WeightedAverage(tuple(paths), tuple(values)),
                plan.target,
                AVERAGE,
                _source(similarity, k),
            )

    def _mixture_rows(self, target: str, seed: int, similarity: str) -> Iterator[Row]:
        """Yields rows on the mixtures of the top k tasks, and those of the target from them."""
        plan = self._plan
        for k in plan.mixtures:
            mixed, _ = self._mixture(target, seed, similarity, k)
            first = row_name(mixed, f"seed{seed}")
            yield study_row(first, mixed, seed, plan.source_start, plan.mixture, "prompt_tuning")
            yield study_row(
                plan.method_name(MIXTURE, target, seed, similarity, k),
                target,
                seed,
                FromRow(first),
                plan.target,
                MIXTURE,
                _source(similarity, k),
            )

    def _mixture(
        self, target: str, seed: int, similarity: str, k: int
    ) -> tuple[str, tuple[str, ...]]:
        """Returns the name and the tasks of the mixture for the top k prompts."""
        _, top = self._top(target, seed, similarity, k)
        members = (target, *sorted({source for source, _ in top} - {target}))
        digest = hashlib.sha256("+".join(members).encode()).hexdigest()[:8]
        return row_name(target, "mixture", digest), members

    def _top(
        self, target: str, seed: int, similarity: str, k: int
    ) -> tuple[list[float], list[tuple[str, int]]]:
        """Returns the similarities and the top k candidates; prompts of the target are none."""
        plan = self._plan
        values = self.similarities[similarity][
            plan.targets.index(target), plan.target_seeds.index(seed)
        ]
        order = [i for i in ranked(values) if plan.candidates[i][0] != target][:k]
        return values[order].tolist(), [plan.candidates[i] for i in order]


def run(
    plan: StudyPlan, tune: Tune, directory: RunDirectory
) -> tuple[list[Outcome], StudyRetrieval]:
    """Runs a study to its end; returns the outcomes of all its rows, and what was retrieved.

    The task embeddings, source prompts and baselines train first, as what is retrieved decides
    which rows follow; then everything else, side by side.
    """
    tune(plan.first_rows, {})
    retrieval = StudyRetrieval(plan, directory)
    rows = [*plan.first_rows, *plan.transfer_rows, *retrieval.rows]
    return tune(rows, retrieval.mixtures), retrieval


def _source(similarity: str, k: int) -> str:
    return f"{similarity} top {k}"
