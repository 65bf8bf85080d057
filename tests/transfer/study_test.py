"""The transfer study: a run from end to end, and what it retrieves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.data.proportional import proportional_mixture
from prompt_tuning.prompts import files
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Row, check_rows
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.methods import AVERAGE, MIXTURE
from prompt_tuning.transfer.similarity import SIMILARITIES, similarities
from prompt_tuning.transfer.study import StudyRetrieval
from tests.training import toy
from tests.transfer import studies


class _Run:
    """A study of toy tasks in a directory, with what it was asked to train."""

    def __init__(self, folder: Path):
        self.plan = studies.plan(sources=("near", "far", "text"))
        self.directory = RunDirectory(folder / "run")
        self.tasks = {name: toy.task(folder, name) for name in self.plan.tasks}
        self.folder = folder

    def tune(
        self, rows: Sequence[Row], mixtures: Mapping[str, tuple[str, ...]] | None = None
    ) -> list[RowResult]:
        mixed = {
            name: proportional_mixture(name, [self.tasks[member] for member in members])
            for name, members in (mixtures or {}).items()
        }
        tasks = {**self.tasks, **mixed}
        return toy.train(rows, self.folder, tasks=tasks, shapes=toy.SHAPES[-1:], save_steps=(0,))

    def prompt(self, row: str, name: str) -> np.ndarray:
        return files.load(self.directory.row(row) / f"{name}.safetensors").array


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[_Run, list[RowResult], StudyRetrieval]:
    study = _Run(tmp_path_factory.mktemp("study"))
    return study, *study.plan.run(study.tune, study.directory)


def test_a_run_has_as_many_rows_as_its_outline_says_at_most(ran):
    study, results, _ = ran
    outline = study.plan.outline
    methods = [result.row["method"] for result in results]
    assert methods.count(AVERAGE) == 2 * 3 * 2 and methods.count(MIXTURE) == 2 * 3 * 2 * 2
    assert len(results) <= len(outline)
    check_rows(outline, save_steps=())
    names = {result.row["name"] for result in results}
    assert {row.name for row in outline if row.method != "mixture"} <= names


@pytest.mark.parametrize("similarity", sorted(SIMILARITIES))
def test_averages_start_from_the_most_similar_prompts_in_their_shares(ran, similarity: str):
    study, _, _ = ran
    plan = study.plan
    query = study.prompt("tiny.embedding.seed1", "last")
    keys = np.stack([study.prompt(plan.embedding_name(*each), "last") for each in plan.candidates])
    values = similarities(query, keys, similarity)
    first, second = np.argsort(-values)[:2]
    best = [study.prompt(plan.source_name(*plan.candidates[i]), "best") for i in (first, second)]
    weights = np.maximum([values[first], values[second]], 0)
    expected = (weights[0] * best[0] + weights[1] * best[1]) / weights.sum()
    name = plan.method_name(AVERAGE, "tiny", 1, similarity, 2)
    np.testing.assert_allclose(study.prompt(name, "step_0"), expected, rtol=1e-5, atol=1e-6)


def test_mixtures_are_of_the_target_and_the_tasks_of_the_top_prompts(ran):
    study, results, retrieval = ran
    rows = {result.row["name"]: result for result in results}
    for similarity in SIMILARITIES:
        name = study.plan.method_name(MIXTURE, "small", 2, similarity, 3)
        first = rows[name].row["start"]["row"]
        order = np.argsort(-retrieval.similarities[similarity][0, 2])[:3]
        top = {study.plan.candidates[i][0] for i in order}
        assert retrieval.mixtures[rows[first].row["task"]] == ("small", *sorted(top))
        np.testing.assert_array_equal(study.prompt(name, "step_0"), study.prompt(first, "best"))


def test_a_target_never_retrieves_its_own_prompts(tmp_path: Path):
    plan = studies.plan(targets=("near",), target_seeds=(0,), averages=(2,), mixtures=(2,))
    directory = RunDirectory(tmp_path)
    rng = np.random.default_rng(0)
    for row in plan.first_rows:
        folder = directory.row(row.name)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("last", "best"):
            prompt = files.Prompt(rng.normal(size=(3, 16)).astype(np.float32), {"name": row.name})
            files.save(folder / f"{name}.safetensors", prompt)
    retrieval = StudyRetrieval(plan, directory)
    assert set(retrieval.mixtures.values()) == {("near", "far")}
    starts = [row.start for row in retrieval.rows if row.method == AVERAGE]
    paths = [path for start in starts for path in getattr(start, "paths", ())]
    assert len(paths) == 4 and all("far.source" in path for path in paths)


def test_a_finished_study_trains_nothing_again(ran):
    study, results, _ = ran
    again, _ = study.plan.run(study.tune, study.directory)
    assert again == results
