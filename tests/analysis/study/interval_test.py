"""Bootstrap intervals."""

import numpy as np
import pytest

from prompt_tuning.analysis.study.interval import mean_interval, percentile_interval


def test_few_things_to_resample_widen_the_percentiles():
    values = np.linspace(0.0, 1.0, 100_001)
    of_ten, of_many = percentile_interval(values, 10), percentile_interval(values, 100_000)
    # Student's t of 9 degrees of freedom is 2.262157; Phi(-2.262157 sqrt(10 / 9)) is 0.008551.
    assert of_ten and (of_ten.low, of_ten.high) == pytest.approx((0.008551, 0.991449), abs=2e-6)
    assert of_many and (of_many.low, of_many.high) == pytest.approx((0.025, 0.975), abs=1e-4)


def test_resamples_that_gave_nothing_are_left_out_unless_they_are_most():
    some = percentile_interval(np.array([2.0, np.nan, 2.0]), 5)
    assert some and (some.low, some.high) == (2.0, 2.0)
    assert percentile_interval(np.array([2.0, np.nan, np.nan]), 5) is None


def test_intervals_resample_targets_and_their_seeds():
    values = np.array([[0.0, 0.0], [4.0, np.nan], [2.0, 2.0]])
    found = mean_interval(values)
    assert found == mean_interval(values)
    assert found and (found.low, found.high) == (0.0, 4.0)  # Each has 1 of 27 draws.
    assert mean_interval(values[:1]) is None
    spread = mean_interval(np.array([[0.0, 9.0], [0.0, 9.0]]))
    assert spread and (spread.low, spread.high) == (0.0, 9.0)
