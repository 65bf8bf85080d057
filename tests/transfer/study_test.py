"""The transfer study: which rows it has, where they start, and a run from end to end."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.data.proportional import proportional_mixture
from prompt_tuning.prompts import files
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.rows import Row, check_rows
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.starts import FromRow, SampledVocab, Uniform
from prompt_tuning.transfer.similarity import SIMILARITIES, similarities
from prompt_tuning.transfer.study import AVERAGE, EMBEDDING, MIXTURE, Retrieval, StudyPlan, run
from prompt_tuning.types import UserError
from tests.training import toy


def _schedule(steps: int):
    return dataclasses.replace(toy.SCHEDULE, steps=steps)


def _plan(**changes: Any) -> StudyPlan:
    settings: dict[str, Any] = {
        "sources": ("near", "far"),
        "targets": ("small", "tiny"),
        "embedding_start": Uniform("paper"),
        "source_start": SampledVocab(None),
        "baseline": SampledVocab(None),
        "embedding": _schedule(2),
        "source": _schedule(3),
        "target": _schedule(4),
        "mixture": _schedule(5),
        "source_seeds": (0, 1),
        "target_seeds": (0, 1, 2),
        "best_of": (1, 2),
        "averages": (2,),
        "mixtures": (1, 3),
    }
    return StudyPlan(**{**settings, **changes})


def test_every_target_and_seed_starts_from_every_source_prompt():
    plan = _plan()
    assert plan.candidates == [("near", 0), ("near", 1), ("far", 0), ("far", 1)]
    rows = plan.transfer_rows
    assert len(rows) == 2 * 3 * 4
    assert rows[2] == Row(
        name="small.from.far.seed0.seed0",
        task="small",
        start=FromRow("far.source.seed0"),
        seed=0,
        schedule=plan.target,
        method="spot",
        source="far",
    )


def test_all_tasks_are_embedded_alike_and_once():
    plan = _plan(targets=("small", "near"))
    rows = [row for row in plan.first_rows if row.method == EMBEDDING]
    assert [row.name for row in rows] == [
        *(f"near.embedding.seed{seed}" for seed in (0, 1)),
        *(f"far.embedding.seed{seed}" for seed in (0, 1)),
        *(f"small.embedding.seed{seed}" for seed in (0, 1, 2)),
        "near.embedding.seed2",
    ]
    assert {(row.start, row.schedule.steps) for row in rows} == {(Uniform("paper"), 2)}
    check_rows([*plan.first_rows, *plan.transfer_rows], save_steps=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "study needs at least one of sources"),
        ({"targets": ("small", "small")}, "study has one of its targets twice"),
        ({"best_of": (1, 5)}, r"the top 5, but there are 4 source prompts; give k in \[1, 4\]"),
        ({"mixtures": (0,)}, "the top 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        _plan(**changes)


class _Run:
    """A study of toy tasks in a directory, with what it was asked to train."""

    def __init__(self, folder: Path):
        self.plan = _plan(sources=("near", "far", "text"))
        self.directory = RunDirectory(folder / "run")
        self.tasks = {name: toy.task(folder, name) for name in self.plan.tasks}
        self.folder = folder

    def tune(self, rows: Sequence[Row], mixtures: Mapping[str, tuple[str, ...]]) -> list[Outcome]:
        mixed = {
            name: proportional_mixture(name, [self.tasks[member] for member in members])
            for name, members in mixtures.items()
        }
        tasks = {**self.tasks, **mixed}
        return toy.train(rows, self.folder, tasks=tasks, shapes=toy.SHAPES[-1:], save_steps=(0,))

    def prompt(self, row: str, name: str) -> np.ndarray:
        return files.load(self.directory.row(row) / f"{name}.safetensors").array


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[_Run, list[Outcome], Retrieval]:
    study = _Run(tmp_path_factory.mktemp("study"))
    return study, *run(study.plan, study.tune, study.directory)


def test_a_run_has_as_many_rows_as_its_outline_says_at_most(ran):
    study, outcomes, _ = ran
    outline = study.plan.outline_rows
    methods = [outcome.row["method"] for outcome in outcomes]
    assert methods.count(AVERAGE) == 2 * 3 * 2 and methods.count(MIXTURE) == 2 * 3 * 2 * 2
    assert len(outcomes) <= len(outline)
    check_rows(outline, save_steps=())
    names = {outcome.row["name"] for outcome in outcomes}
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
    study, outcomes, retrieval = ran
    rows = {outcome.row["name"]: outcome for outcome in outcomes}
    for similarity in SIMILARITIES:
        name = study.plan.method_name(MIXTURE, "small", 2, similarity, 3)
        first = rows[name].row["start"]["row"]
        order = np.argsort(-retrieval.similarities[similarity][0, 2])[:3]
        top = {study.plan.candidates[i][0] for i in order}
        assert retrieval.mixtures[rows[first].row["task"]] == ("small", *sorted(top))
        np.testing.assert_array_equal(study.prompt(name, "step_0"), study.prompt(first, "best"))


def test_a_finished_study_trains_nothing_again(ran):
    study, outcomes, _ = ran
    again, _ = run(study.plan, study.tune, study.directory)
    assert again == outcomes
