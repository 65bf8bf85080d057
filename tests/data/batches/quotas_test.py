"""Quotas: shares to within one in each window, and exact over windows."""

import numpy as np
import pytest

from prompt_tuning.data.batches.quotas import Quotas


def test_a_window_is_shared_to_within_one():
    rates = np.array([1.0, 2.5, 0.3, 7.0])
    quotas = Quotas(list(rates), 50, 0.25).of(np.arange(200))
    assert (quotas.sum(1) == 50).all()
    shares = 50 * rates / rates.sum()
    assert (np.abs(quotas - shares) <= 1.0).all()
    assert np.abs(quotas.mean(0) - shares).max() < 0.02


@pytest.mark.parametrize("order", [(3, 7, 8), (8, 3), (0, 5, 0)])
def test_what_came_before_is_the_sum_whatever_was_asked_first(order):
    quotas = Quotas([1.0, 3.0], 10, 0.5)
    for window in order:
        expected = quotas.of(np.arange(window)).sum(0)
        np.testing.assert_array_equal(quotas.before(window), expected)
