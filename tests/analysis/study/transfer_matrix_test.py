"""The heat maps of a study: which values, in which order."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.study.scores import PERFORMANCE, Study
from prompt_tuning.analysis.study.transfer_matrix import transfer_map, transfer_table
from prompt_tuning.analysis.table import Score
from tests.analysis.made_up_studies import numbers, renamed, study_of, transfer_of


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


def test_sources_by_targets_with_pairs_of_seeds_as_one_spread():
    scores = np.array([[[60.0, 70, 80, 90], [60, 70, 80, np.nan]], [[50.0, 50, 75, 75]] * 2])
    transfer = renamed(transfer_of(scores), sources=["a", "a", "b", "b"])
    transfer = renamed(transfer, targets=["x", "b"])
    study = study_of(transfer, scores)
    table = transfer_table(study)
    assert [column.name for column in table.columns] == ["source", "x", "b", "mean"]
    (a, b) = (line.cells for line in table.lines)
    assert numbers(a[1]) == (30.0, 11.547, 4)
    assert numbers(b[1]) == (66.667, 11.547, 3)
    assert (a[3], b[3]) == (pytest.approx(15.0), pytest.approx(66.667, abs=1e-3))
    relative = transfer_table(dataclasses.replace(study, measure=PERFORMANCE))
    assert numbers(relative.lines[0].cells[1]) == (130.0, 11.547, 4)


def test_a_cell_without_transfers_is_missing():
    scores = np.full((1, 1, 2), np.nan)
    (line, _) = transfer_table(study_of(transfer_of(scores), scores)).lines
    assert line.cells == ["s0", Score(None), None]
