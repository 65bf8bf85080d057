"""Encoder positions: how many there are, and how many of them are padding."""

import numpy as np
import pytest

from prompt_tuning.data.padding import Positions, count_positions


def test_prompts_count_and_fillers_are_all_padding():
    lengths = np.array([3, 5])
    assert count_positions(lengths, 8, prompt_length=10) == (36, 8)
    assert count_positions(lengths, 8, prompt_length=10, fillers=2) == (72, 44)
    assert count_positions(lengths, 8, prompt_length=0) == (16, 8)


def test_shares_are_of_all_positions_counted():
    first, second = Positions(100, 10), Positions(300, 90)
    assert first.plus(second).padding_share == pytest.approx(0.25)
    assert Positions().padding_share == 0.0
