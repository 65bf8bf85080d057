"""Scores of a transfer study, by source and as relative error reduction."""

import numpy as np
import pytest

from prompt_tuning.analysis.study.scores import Candidate, TransferScores


def _scores() -> TransferScores:
    candidates = tuple(Candidate(source, seed) for seed in (0, 1) for source in ("a", "b", "c"))
    scores = np.arange(12.0).reshape(2, 1, 6)
    return TransferScores(
        targets=("x", "y"),
        seeds=(0,),
        candidates=candidates,
        baseline=np.array([[90.0], [100.0]]),
        scores=scores,
        validation=scores,
    )


def test_candidates_group_by_source_whatever_their_order():
    scores = _scores()
    assert scores.sources == ("a", "b", "c")
    grouped = scores.by_source(scores.scores)
    assert grouped.shape == (2, 1, 3, 2)
    np.testing.assert_array_equal(grouped[0, 0], [[0, 3], [1, 4], [2, 5]])


def test_relative_change_is_that_of_the_error():
    change = _scores().relative_change(np.array([[95.0], [100.0]]))
    assert change[0, 0] == pytest.approx(50.0)
    assert np.isnan(change[1, 0])  # Without an error there is none to reduce.
