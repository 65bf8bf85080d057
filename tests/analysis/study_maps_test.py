"""The heat maps of a study: which values, in which order."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.study import Study
from prompt_tuning.analysis.study_maps import similarity_map, transfer_map
from tests.analysis.made_up import made_up_matrix
from tests.analysis.studies import renamed, study_of, transfer_of


def _study(sources: list[str]) -> Study:
    """Returns scores of two targets and three source prompts over own prompts that score 50."""
    scores = np.array([[[60.0, 75, 50]], [[50.0, np.nan, 100]]])
    return study_of(renamed(transfer_of(scores), sources=sources), np.zeros((2, 1, 3)))


def test_sources_that_give_most_come_first_and_what_was_not_run_is_missing():
    shown = transfer_map(_study(["a", "b", "c"]))
    assert shown.rows == ("b", "c", "a")
    assert shown.columns == ("t0", "t1", "mean")
    expected = [[50, np.nan, 50], [0, 100, 50], [20, 0, 10]]
    np.testing.assert_allclose(shown.values, expected)
    assert not shown.marked.any()


def test_a_cell_is_the_mean_of_a_sources_prompts_and_the_same_task_is_marked():
    shown = transfer_map(_study(["t1", "t1", "c"]))
    assert shown.rows == ("c", "t1")
    # Target 1 is the source itself: it is shown, and left out of the mean.
    np.testing.assert_allclose(shown.values, [[0, 100, 50], [35, 0, 35]])
    np.testing.assert_array_equal(shown.marked, [[0, 0, 0], [0, 1, 0]])


def test_similarities_that_hardly_differ_are_told_apart():
    alike = np.array([[1, 0.015, 0.07], [0.015, 1, 0.02], [0.07, 0.02, 1]])
    study = dataclasses.replace(made_up_matrix(3), task_similarities={"per_token": alike})
    shown = similarity_map(study, "per_token", "alike")
    assert (shown.scale.low, shown.scale.high, shown.decimals) == (0.01, 0.07, 3)


def test_tasks_that_are_alike_stand_side_by_side():
    study = made_up_matrix(4)
    alike = np.array([[1, 0, 0.9, 0], [0, 1, 0, 0.8], [0.9, 0, 1, 0], [0, 0.8, 0, 1.0]])
    study = dataclasses.replace(study, task_similarities={"mean_token": alike})
    shown = similarity_map(study, "mean_token", "alike")
    assert {shown.rows[:2], shown.rows[2:]} in (
        {("task_0", "task_2"), ("task_1", "task_3")},
        {("task_2", "task_0"), ("task_1", "task_3")},
        {("task_0", "task_2"), ("task_3", "task_1")},
        {("task_2", "task_0"), ("task_3", "task_1")},
    )
    assert shown.columns == shown.rows
    assert shown.values.diagonal() == pytest.approx(1)
    assert shown.values[0, 1] in (0.8, 0.9)
    assert (shown.scale.low, shown.scale.high) == (0, 0.9)
