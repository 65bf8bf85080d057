"""A study from the results of its rows."""

import itertools
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from prompt_tuning.analysis.study.gathering import gather, study_records
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, Candidate
from prompt_tuning.training.results import RowResult
from prompt_tuning.transfer.methods import AVERAGE, MIXTURE
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.transfer.study import StudyPlan, StudyRetrieval
from tests.transfer import studies


class _Retrieval:
    """Gives every task its own direction as embedding, whatever the seed."""

    def __init__(self, plan: StudyPlan):
        self._tasks = plan.tasks
        self.similarities = {name: np.zeros((2, 3, 4)) for name in SIMILARITIES}

    def embeddings(self, of: Sequence[tuple[str, int]]) -> np.ndarray:
        directions = np.eye(len(self._tasks))
        return np.stack([directions[[self._tasks.index(task)]] for task, _ in of])


def _result(row: dict[str, Any], score: float) -> RowResult:
    return RowResult(
        row=row,
        backbone="toy",
        digest="",
        curve=[[0, score + 1]],
        step=0,
        validation=score + 1,
        split="test",
        score=score,
        metrics={"accuracy": score / 100},
        seconds=30.0,
        stopped=None,
        best="",
    )


@pytest.fixture(scope="module")
def plan() -> StudyPlan:
    """Returns two sources of two seeds and two targets of three."""
    return studies.plan()


@pytest.fixture(scope="module")
def results(plan: StudyPlan) -> list[RowResult]:
    """Returns a result for each row; its score is its place among them."""
    rows = [*plan.first_rows, *plan.transfer_rows]
    described = [row.describe() for row in rows]
    for method, ks in ((AVERAGE, plan.averages), (MIXTURE, plan.mixtures)):
        for on, similarity, k in itertools.product(plan.replicates, SIMILARITIES, ks):
            name = plan.method_name(method, *on, similarity, k)
            described.append({**described[-1], "name": name, "method": method})
    return [_result(row, float(place)) for place, row in enumerate(described)]


def test_every_score_stands_at_its_target_seed_and_source_prompt(plan, results):
    scores = {result.row["name"]: result.score for result in results}
    retrieval = cast(StudyRetrieval, _Retrieval(plan))
    study = gather(plan, results, retrieval, title="it", settings="A = 1")
    assert study.transfer.candidates == tuple(
        Candidate(*of) for of in itertools.product(("near", "far"), (0, 1))
    )
    for t, j in np.ndindex(2, 3):
        on = plan.targets[t], plan.target_seeds[j]
        assert study.transfer.baseline[t, j] == scores[plan.baseline_name(*on)]
        for c, of in enumerate(plan.candidates):
            assert study.transfer.scores[t, j, c] == scores[plan.transfer_name(*on, *of)]
    np.testing.assert_array_equal(study.transfer.validation, study.transfer.scores + 1)
    assert {(method.method, method.k) for method in study.methods} == {
        (AVERAGE, 2),
        (MIXTURE, 1),
        (MIXTURE, 3),
    }
    last = study.methods[-1]
    name = plan.method_name(last.method, "tiny", 2, str(last.similarity), last.k or 0)
    assert last.scores.shape == (2, 3) and last.scores[1, 2] == scores[name]
    assert (study.measure, study.ks, study.settings) == (ERROR_REDUCTION, (1, 2), "A = 1")


def test_facts_and_similarities_of_tasks(plan, results):
    retrieval = cast(StudyRetrieval, _Retrieval(plan))
    study = gather(plan, results, retrieval, title="it", settings="")
    for values in study.task_similarities.values():
        np.testing.assert_allclose(values, np.eye(4), atol=1e-12)
    assert study.facts["frozen model"] == "toy"
    assert study.facts["prompts tuned"].startswith(f"{len(results)}, ")
    assert study.facts["training time"] == f"{len(results) / 2:.1f} minutes"


def test_a_result_names_the_seed_of_its_source(plan, results):
    records = study_records(plan, results)
    sources = {record["source"] for record in records if record["method"] == "spot"}
    assert sources == {f"{task} seed {seed}" for task in ("near", "far") for seed in (0, 1)}
