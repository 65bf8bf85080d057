"""Rows: their names and digests, when they are evaluated, and which is the best step."""

import dataclasses
from typing import Any

import pytest

from prompt_tuning.prompts.initializers import Uniform
from prompt_tuning.training.rows import Progress, Row, check_rows, row_name
from prompt_tuning.types import UserError
from tests.training import toy


def test_a_row_is_evaluated_before_it_starts_every_period_and_at_its_end():
    row = toy.row("a", schedule=dataclasses.replace(toy.SCHEDULE, steps=10, eval_period=4))
    assert [step for step in range(11) if row.evaluates_at(step)] == [0, 4, 8, 10]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "other"},
        {"seed": 1},
        {"start": Uniform("paper")},
        {"schedule": dataclasses.replace(toy.SCHEDULE, learning_rate=0.2)},
    ],
)
def test_the_digest_tells_settings_apart(changes: dict[str, Any]):
    assert toy.row("a").digest("x") == toy.row("a").digest("x")
    assert toy.row("a", **changes).digest("x") != toy.row("a").digest("x")
    assert toy.row("a").digest("y") != toy.row("a").digest("x")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_name_is_never_a_path(name: str):
    with pytest.raises(UserError, match="a row's name is made of"):
        toy.row(name)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_a_seed_is_a_whole_number_of_32_bits(seed: Any):
    with pytest.raises(UserError, match="row 'a': seed must be a whole number"):
        toy.row("a", seed=seed)


def test_names_are_made_of_parts_that_fit_in_one():
    assert row_name("glue_rte/v2", "class_labels", "seed0") == "glue_rte_v2.class_labels.seed0"
    assert row_name("../x", "-y") == "x.y"


def test_the_first_of_equal_scores_is_the_best():
    progress = Progress()
    improved = []
    for step, score in ((0, 10.0), (4, 30.0), (8, 30.0), (12, 20.0)):
        progress.step = step
        improved.append(progress.record(step, score))
    assert improved == [True, True, False, False]
    assert (progress.best_step, progress.best_score) == (4, 30.0)
    assert progress.curve == [[0, 10.0], [4, 30.0], [8, 30.0], [12, 20.0]]


@pytest.mark.parametrize(
    ("rows", "save_steps", "message"),
    [
        ([], (), "there is nothing to train"),
        ([toy.row("a"), toy.row("b"), toy.row("a")], (), "two rows are called 'a'"),
        ([toy.row("a")], (4, 13), "save_steps has step 13, but rows train 12 steps"),
        ([toy.row("a")], (-1,), "save_steps has step -1"),
    ],
)
def test_rows_that_cannot_train_together_are_refused(
    rows: list[Row], save_steps: tuple[int, ...], message: str
):
    with pytest.raises(UserError, match=message):
        check_rows(rows, save_steps=save_steps)
    check_rows([toy.row("a"), toy.row("b")], save_steps=(0, 12))
