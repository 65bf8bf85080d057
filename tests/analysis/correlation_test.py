"""Correlations of similarity with gain, against SciPy and planted relations."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from prompt_tuning.analysis.correlation import (
    CANDIDATES,
    PEARSON,
    SOURCES,
    SPEARMAN,
    Points,
    correlation,
    mean_correlation,
    points,
    target_correlations,
)
from prompt_tuning.analysis.interval import RESAMPLES, generator
from prompt_tuning.analysis.transfer_scores import Candidate
from tests.analysis.studies import renamed, study_of, transfer_of

RNG = np.random.default_rng(0)


def _points(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Points:
    groups = np.arange(x.size) if groups is None else groups
    return Points(x, y, groups, np.zeros(x.size, bool))


@pytest.mark.parametrize(
    ("method", "test"), [(PEARSON, scipy.stats.pearsonr), (SPEARMAN, scipy.stats.spearmanr)]
)
def test_value_p_and_interval_are_those_of_scipy_on_every_resample(method: str, test):
    x = RNG.integers(0, 6, 9).astype(float)
    y = x + RNG.normal(size=9).round(1)
    groups = np.repeat([0, 1, 2, 3], [2, 3, 2, 2])
    found = correlation(_points(x, y, groups), method)
    assert found and (found.value, found.p) == pytest.approx(tuple(test(x, y)))
    drawn = generator().multinomial(4, np.full(4, 0.25), size=RESAMPLES)
    values = []
    for counts, times in zip(*np.unique(drawn, axis=0, return_counts=True), strict=True):
        again = np.repeat(np.arange(9), counts[groups])
        if np.ptp(x[again]) and np.ptp(y[again]):
            values += times * [test(x[again], y[again]).statistic]
    assert found.interval
    ends = (found.interval.low, found.interval.high)
    tail = scipy.stats.norm.cdf(-((4 / 3) ** 0.5) * 3.182446)  # t of 3 degrees of freedom
    assert ends == pytest.approx(tuple(np.quantile(values, [tail, 1 - tail])))


def test_a_line_is_one_and_its_order_alone_is_enough_for_spearman():
    x = np.linspace(0.2, 0.9, 8)
    straight, bent = correlation(_points(x, 3 - x), PEARSON), _points(x, x**9)
    assert straight and straight.value == pytest.approx(-1.0)
    assert straight.interval and straight.interval.high == pytest.approx(-1.0)
    ordered, curved = correlation(bent, SPEARMAN), correlation(bent, PEARSON)
    assert ordered and curved and curved.value < 0.95 < ordered.value == pytest.approx(1.0)


@pytest.mark.parametrize("method", [PEARSON, SPEARMAN])
def test_constants_and_two_points_have_none(method: str):
    x = np.arange(4.0)
    assert correlation(_points(x, np.full(4, 0.1)), method) is None
    assert correlation(_points(np.full(4, 0.3) + 1e-16 * x, x), method) is None
    assert correlation(_points(x, np.zeros(4)), method) is None
    assert correlation(_points(x[:2], x[:2]), method) is None


def test_the_pair_of_the_target_itself_is_left_out_on_demand():
    scores = np.array([[[99.0, 60.0, 70.0, 80.0]], [[60.0, 70.0, 80.0, 90.0]]])
    alike = np.array([[[0.99, 0.4, 0.3, 0.2]], [[0.1, 0.2, 0.3, 0.4]]])
    study = study_of(renamed(transfer_of(scores), targets=["s0", "x"]), alike)
    both = [
        target_correlations(
            study, similarity="mean_token", method=SPEARMAN, level=CANDIDATES, same_task=same
        )
        for same in (True, False)
    ]
    assert [each and round(each.value, 9) for each in both[0]] == [0.2, 1.0]
    assert [each and round(each.value, 9) for each in both[1]] == [-1.0, 1.0]
    mean = mean_correlation(both[1])
    assert mean and (mean.value, mean.n) == (pytest.approx(0.0, abs=1e-12), 2)
    assert mean_correlation([None]) is None


def test_points_of_sources_are_means_over_pairs_of_seeds():
    candidates = tuple(Candidate(source, seed) for source in "ab" for seed in (0, 1))
    scores = np.array([[[60.0, 70.0, 80.0, 90.0], [70.0, np.nan, np.nan, np.nan]]])
    transfer = dataclasses.replace(transfer_of(scores), candidates=candidates)
    study = study_of(transfer, np.arange(8.0).reshape(1, 2, 4))
    (by_candidate,), (by_source,) = (points(study, "mean_token", x) for x in (CANDIDATES, SOURCES))
    np.testing.assert_allclose(by_candidate.similarities, [2, 3, 4, 5])
    np.testing.assert_allclose(by_candidate.gains, [30, 40, 60, 80])
    assert by_candidate.groups.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(by_source.similarities, [2.5, 4.5])
    np.testing.assert_allclose(by_source.gains, [100 * 1 / 3, 70])


def test_transfers_that_were_not_run_are_left_out():
    scores = np.array([[[60.0, np.nan, 80.0, 90.0]]])
    (left,) = points(study_of(transfer_of(scores), scores * 0 + 0.5), "mean_token", CANDIDATES)
    assert left.groups.tolist() == [0, 2, 3]
