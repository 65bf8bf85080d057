"""Retrieval from planted scores, against its definition over all subsets."""

import itertools

import numpy as np
import pytest

from prompt_tuning.analysis.study.retrieval import (
    best_of_random_k,
    best_of_top_k,
    oracle,
    retrievals,
    search_space_cut,
)
from tests.analysis.made_up_studies import renamed, study_of, transfer_of

RNG = np.random.default_rng(0)


def _best(scores: np.ndarray, validation: np.ndarray) -> float:
    """Returns the mean test score of those that are best on validation."""
    return float(np.mean(scores[validation == validation.max()]))


def _with_ties() -> tuple[np.ndarray, np.ndarray]:
    scores = RNG.uniform(0, 100, (2, 3, 7))
    validation = RNG.integers(0, 4, (2, 3, 7)).astype(float)
    scores[0, 1, 2] = validation[1, 2, 5] = np.nan
    return scores, validation


@pytest.mark.parametrize("k", range(1, 9))
def test_random_k_is_the_mean_over_all_subsets(k: int):
    scores, validation = _with_ties()
    found = best_of_random_k(transfer_of(scores, validation), k)
    for place in np.ndindex(2, 3):
        run = np.flatnonzero(np.isfinite(scores[place] + validation[place]))
        subsets = itertools.combinations(run, min(k, run.size))
        best = [_best(scores[place][list(s)], validation[place][list(s)]) for s in subsets]
        assert found[place] == pytest.approx(np.mean(best), rel=1e-12)


@pytest.mark.parametrize("k", range(1, 9))
def test_top_k_is_the_best_on_validation_of_the_most_similar(k: int):
    scores, validation = _with_ties()
    similarities = RNG.normal(size=scores.shape)
    found = best_of_top_k(transfer_of(scores, validation), similarities, k)
    for place in np.ndindex(2, 3):
        run = np.flatnonzero(np.isfinite(scores[place] + validation[place]))
        first = sorted(run, key=lambda c, place=place: -similarities[place][c])[:k]
        assert found[place] == pytest.approx(_best(scores[place][first], validation[place][first]))


def test_the_oracle_is_the_best_of_all_however_they_are_drawn():
    transfer = transfer_of(*_with_ties())
    similarities = RNG.normal(size=transfer.scores.shape)
    np.testing.assert_allclose(best_of_top_k(transfer, similarities, 7), oracle(transfer))
    np.testing.assert_allclose(best_of_random_k(transfer, 7), oracle(transfer), rtol=1e-12)


def test_ties_on_validation_count_with_their_mean_and_equal_similarities_in_order():
    transfer = transfer_of(np.array([[[10.0, 30.0, 80.0]]]), np.array([[[5.0, 5.0, 4.0]]]))
    alike = np.zeros((1, 1, 3))
    assert [float(best_of_top_k(transfer, alike, k)[0, 0]) for k in (1, 2, 3)] == [10, 20, 20]
    assert best_of_random_k(transfer, 1)[0, 0] == pytest.approx(40.0)
    with pytest.raises(ValueError, match="k must be at least 1"):
        best_of_top_k(transfer, alike, 0)


def test_a_prompt_of_the_target_itself_is_not_retrieved():
    scores = np.array([[[99.0, 60.0, 70.0]], [[50.0, 98.0, 40.0]]])
    transfer = renamed(transfer_of(scores), targets=["s0", "s1"])
    similar = np.array([[[1.0, 0.5, 0.2]], [[0.5, 1.0, 0.2]]])
    assert best_of_top_k(transfer, similar, 1)[:, 0].tolist() == [60.0, 50.0]
    assert oracle(transfer)[:, 0].tolist() == [70.0, 50.0]
    assert best_of_random_k(transfer, 1)[:, 0].tolist() == [65.0, 45.0]
    assert search_space_cut(transfer, 1) == pytest.approx(0.5)
    assert search_space_cut(transfer, 5) == 0.0


def test_a_target_without_candidates_has_no_scores():
    scores = np.full((2, 1, 3), np.nan)
    scores[1] = 60.0
    transfer = transfer_of(scores)
    found = best_of_top_k(transfer, np.zeros_like(scores), 2)
    np.testing.assert_array_equal(found, [[np.nan], [60.0]])
    np.testing.assert_array_equal(best_of_random_k(transfer, 2), [[np.nan], [60.0]])


def test_the_lines_of_a_study_are_those_of_the_paper():
    transfer = transfer_of(RNG.uniform(50, 90, (2, 1, 4)))
    lines = retrievals(study_of(transfer, RNG.normal(size=(2, 1, 4)), ks=(1, 3)))
    assert [(line.method, line.similarity, line.k) for line in lines] == [
        ("prompt_tuning", None, None),
        ("oracle", None, None),
        ("best_of_top_k", "mean_token", 1),
        ("best_of_top_k", "mean_token", 3),
        ("best_of_random_k", None, 1),
        ("best_of_random_k", None, 3),
    ]
    assert lines[0].scores is transfer.baseline
