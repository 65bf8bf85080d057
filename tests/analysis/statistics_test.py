"""Means, deviations and paired differences, against numbers worked out by hand."""

import numpy as np
import pytest

from prompt_tuning.analysis.statistics import (
    CLASS_LABELS,
    SPOT,
    PairedDifference,
    Spread,
    at_fraction,
    finite_mean,
    mean_curve,
    paired_difference,
    spread,
    target_records,
)


def record(start, target, seed, score, **more):
    return {
        "method": start.method,
        "init": start.init,
        "target": target,
        "seed": seed,
        "score": score,
        "steps": 100,
        "curve": [],
        **more,
    }


def test_spread_has_the_sample_deviation():
    assert spread([1.0, 2.0, 3.0]) == Spread(mean=2.0, std=1.0, n=3)
    assert spread([5.0]) == Spread(mean=5.0, std=None, n=1)
    assert spread([]) is None


def test_paired_difference_pairs_by_target_and_seed():
    records = [
        record(SPOT, "a", 0, 90.0),
        record(SPOT, "a", 1, 92.0),
        record(SPOT, "b", 0, 70.0),
        record(SPOT, "b", 1, 99.0),  # Its partner has no score, so it has no pair.
        record(CLASS_LABELS, "b", 0, 71.0),
        record(CLASS_LABELS, "a", 1, 90.0),
        record(CLASS_LABELS, "a", 0, 85.0),
        record(CLASS_LABELS, "b", 1, None),
    ]
    found = paired_difference(records, SPOT, CLASS_LABELS)
    # Differences 5, 2, -1: mean 2, sample deviation 3, standard error 3 / sqrt(3).
    assert found == PairedDifference(2.0, pytest.approx(3**0.5), 3)  # pyright: ignore[reportArgumentType]
    assert paired_difference(records[:4], SPOT, CLASS_LABELS) is None


def test_two_baselines_for_one_pair_are_an_error():
    records = [record(CLASS_LABELS, "a", 0, 1.0), record(CLASS_LABELS, "a", 0, 2.0)]
    with pytest.raises(ValueError, match="two records"):
        paired_difference(records, SPOT, CLASS_LABELS)


def test_a_fraction_takes_the_last_point_at_or_before_it():
    curve = [[0, 10.0], [20, 20.0], [25, 30.0], [30, 40.0]]
    scored = at_fraction([record(SPOT, "a", 0, 90.0, curve=curve)], 0.25)
    assert scored[0]["score"] == 30.0
    assert at_fraction([record(SPOT, "a", 0, 90.0, curve=[[50, 1.0]])], 0.25)[0]["score"] is None


def test_source_tuning_is_not_a_target():
    records = [
        record(SPOT, "a", 0, 90.0),
        record(CLASS_LABELS, "a", 0, 80.0),
        record(CLASS_LABELS, "s", 0, 95.0),
    ]
    records.append(record(CLASS_LABELS, "a", 0, 85.0, steps=500))
    assert target_records(records) == records[:2]


def test_a_mean_curve_has_the_steps_that_all_curves_have():
    assert mean_curve([{8: 3.0, 0: 1.0, 4: 2.0}, {0: 3.0, 8: 4.0}]) == {0: 2.0, 8: 3.5}
    assert mean_curve([]) == {}


def test_a_finite_mean_leaves_out_what_is_missing():
    values = np.array([[1.0, np.nan, 4.0], [3.0, np.nan, np.nan]])
    np.testing.assert_array_equal(finite_mean(values, 0), [2.0, np.nan, 4.0])
    assert finite_mean(values, (0, 1)) == pytest.approx(8 / 3)
