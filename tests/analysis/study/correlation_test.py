"""Correlations of similarity with gain, against SciPy and planted relations."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from prompt_tuning.analysis.study import panels
from prompt_tuning.analysis.study.correlation import (
    CANDIDATES,
    PEARSON,
    SOURCES,
    SPEARMAN,
    Points,
    correlation,
    correlation_table,
    mean_correlation,
    points,
    points_table,
    scatter_panels,
    target_correlations,
)
from prompt_tuning.analysis.study.interval import RESAMPLES, generator
from prompt_tuning.analysis.study.scores import Candidate
from prompt_tuning.analysis.table import text
from tests.analysis.made_up_studies import renamed, study_of, transfer_of

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


SCORES = np.array([[[99.0, 60.0, 70.0, 80.0]], [[60.0, 70.0, 80.0, 90.0]]])
ALIKE = np.array([[[0.99, 0.4, 0.3, 0.2]], [[0.1, 0.2, 0.3, 0.4]]])


def test_a_line_for_each_target_and_their_mean_without_and_with_the_own_task():
    study = study_of(renamed(transfer_of(SCORES), targets=["s0", "x"]), ALIKE)
    lines = correlation_table(study, SOURCES).lines
    shown = [[str(cell) for cell in line.cells] for line in lines]
    assert [(line[1], line[2], line[3], line[7]) for line in shown] == [
        ("s0", "3", "-1.00", "-1.00"),
        ("x", "4", "1.00", "1.00"),
        ("mean", "2", "0.00", "0.00"),
    ]
    assert [line[-1] for line in shown] == ["0.20", "1.00", "0.60"]
    assert [line.strong for line in lines] == [False, False, True]


def test_targets_that_are_no_sources_have_one_value_and_constants_none():
    scores = np.concatenate([SCORES[:1], np.full((1, 1, 4), 70.0)])
    table = correlation_table(study_of(transfer_of(scores), ALIKE), CANDIDATES)
    assert [column.name for column in table.columns][-1] == "to"
    assert set(table.lines[1].cells[2:]) == {None}
    assert "constant" not in text(table, 100) and "0.20" in text(table, 100)


POINT_SCORES = np.array([[[60.0, 70, 80, 95]], [[50.0, 50, 50, 50]]])


def test_r_leaves_the_targets_own_prompt_out():
    transfer = renamed(transfer_of(POINT_SCORES), sources=["a", "b", "c", "t0"])
    study = study_of(transfer, np.array([[[0.1, 0.2, 0.3, -0.9]]] * 2))
    first, second = scatter_panels(study, "mean_token")
    assert first.summary == "r = 1.00, p < 0.001, n = 3"
    assert (
        first.label == "scatter plot of relative error reduction (%) against cosine of mean tokens"
    )
    assert second.summary == "no correlation: constant"


def test_every_point_is_drawn_and_own_prompts_are_squares():
    transfer = renamed(transfer_of(POINT_SCORES), sources=["a", "b", "c", "t0"])
    study = study_of(transfer, np.array([[[0.1, 0.2, 0.3, -0.9]]] * 2))
    panel = scatter_panels(study, "mean_token")[0]
    assert panel.name == "t0"
    drawn = panels.html([panel], "plots")
    assert drawn.count("fill: var(--first)") == 3
    assert drawn.count("fill: var(--second)") == 1
    lines = [line.cells for line in points_table(study).lines]
    assert lines[3] == ["t0", "mean_token", pytest.approx(-0.9), pytest.approx(90.0), True]
    assert [line[-1] for line in lines] == [False, False, False, True, False, False, False, False]


def test_targets_without_transfers_have_no_plot():
    scores = POINT_SCORES.copy()
    scores[1] = np.nan
    study = study_of(transfer_of(scores), np.zeros((2, 1, 4)))
    assert [panel.name for panel in scatter_panels(study, "mean_token")] == ["t0"]
