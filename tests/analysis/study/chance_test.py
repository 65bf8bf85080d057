"""What similarity adds to chance, from planted scores and worked by hand."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.study.chance import (
    EXCHANGES,
    best_of_exchanged_k,
    permutation_p,
    top_minus_exchanged,
    top_minus_random,
    top_minus_random_table,
)
from prompt_tuning.analysis.study.retrieval import best_of_random_k
from prompt_tuning.analysis.study.scores import PERFORMANCE
from tests.analysis.made_up_studies import renamed, study_of, transfer_of

RNG = np.random.default_rng(0)


def test_a_p_value_counts_the_measured_value_among_the_permutations():
    permuted = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    # Two of nine, 8 and 9, are at least as great: (1 + 2) / (1 + 9).
    assert permutation_p(8.0, permuted) == pytest.approx(0.3)
    assert permutation_p(10.0, permuted) == pytest.approx(0.1)
    assert permutation_p(0.0, permuted) == 1.0
    assert permutation_p(9.0 + 1e-12, permuted) == pytest.approx(0.2)


def test_the_p_value_of_exchanged_sources_is_that_of_their_mean_scores():
    # Either source is as likely the most similar one: in half the exchanges that of score 90.
    transfer = renamed(transfer_of(np.array([[[90.0, 90, 60, 60]]])), sources=["a", "a", "b", "b"])
    study = study_of(transfer, np.array([[[0.9, 0.8, 0.2, 0.1]]]))
    difference, p = top_minus_exchanged(study, "mean_token", 1)
    exchanged = best_of_exchanged_k(transfer, study.similarities["mean_token"], 1)
    as_good = int((exchanged == 90.0).sum())
    assert 400 < as_good < 600
    assert p == (1 + as_good) / (1 + EXCHANGES)
    assert difference and difference.mean == pytest.approx(30.0 * (1 - as_good / EXCHANGES))


def test_a_study_without_candidates_has_no_difference():
    study = study_of(transfer_of(np.full((1, 1, 3), np.nan)), np.zeros((1, 1, 3)))
    assert top_minus_random(study, "mean_token", 1) == (None, None)
    assert top_minus_exchanged(study, "mean_token", 1) == (None, None)


def test_similarity_that_knows_the_gain_beats_random_and_one_that_does_not_covers_zero():
    rng = np.random.default_rng(1)
    transfer = transfer_of(rng.uniform(50, 90, (10, 3, 12)))
    informed = study_of(transfer, transfer.scores / 100.0)
    points, gain = top_minus_random(informed, "mean_token", 3)
    assert points and points.interval and gain and gain.interval
    assert 0 < points.interval.low < points.mean < points.interval.high
    assert gain.mean == pytest.approx(2 * points.mean)  # The baseline's error is 50 points.
    blind, _ = top_minus_random(study_of(transfer, rng.normal(size=(10, 3, 12))), "mean_token", 3)
    assert blind and blind.interval and blind.interval.low < 0 < blind.interval.high


def test_sources_that_exchange_similarities_are_drawn_at_random_with_their_seeds():
    scores = RNG.uniform(50, 90, (2, 2, 6))
    transfer = renamed(transfer_of(scores), sources=["a", "a", "b", "b", "c", "c"])
    similarities = np.tile(np.array([0.9, 0.8, 0.6, 0.5, 0.2, 0.1]), (2, 2, 1))
    found = best_of_exchanged_k(transfer, similarities, 2).mean(axis=0)
    each = transfer.by_source(scores).max(axis=-1)  # Two prompts are those of one source.
    np.testing.assert_allclose(found, each.mean(axis=-1), atol=1.0)
    own = renamed(transfer, targets=["a", "x"])
    without = best_of_exchanged_k(own, similarities, 2).mean(axis=0)
    np.testing.assert_allclose(without[0], each[0, :, 1:].mean(axis=-1), atol=1.0)
    alone = transfer_of(scores)  # Sources with one prompt each: as random k.
    exchanged = best_of_exchanged_k(alone, similarities, 3).mean(axis=0)
    np.testing.assert_allclose(exchanged, best_of_random_k(alone, 3), atol=1.0)


def test_top_minus_random_has_the_difference_and_its_interval_in_both_units():
    scores = np.array([[[60.0, 70, 80, 90], [64, 72, 80, 88]], [[50.0, 60, 70, 80]] * 2])
    study = study_of(transfer_of(scores), scores / 100, ks=(1, 3))
    table = top_minus_random_table(study)
    similarity, k, points, low, high, error, *_ = table.lines[0].cells
    assert (similarity, k) == ("mean_token", 1)
    assert isinstance(points, float) and isinstance(error, float)
    assert (points, error) == (pytest.approx(34.5 - 20.25), pytest.approx(2 * (34.5 - 20.25)))
    assert isinstance(low, float) and isinstance(high, float) and low < points < high
    zero_shot = dataclasses.replace(study, measure=PERFORMANCE)
    assert len(top_minus_random_table(zero_shot).columns) == 5
