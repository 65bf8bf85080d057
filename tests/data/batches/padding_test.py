"""Encoder positions: how many there are, and how many of them are padding."""

import numpy as np
import pytest

from prompt_tuning.data.batches.padding import Positions, count_positions, expect_positions
from prompt_tuning.data.batches.pipeline import Batches
from prompt_tuning.data.cached_task import in_memory


def test_prompts_count_and_fillers_are_all_padding():
    lengths = np.array([3, 5])
    assert count_positions(lengths, 8, prompt_length=10) == (36, 8)
    assert count_positions(lengths, 8, prompt_length=10, fillers=2) == (72, 44)
    assert count_positions(lengths, 8, prompt_length=0) == (16, 8)


def test_shares_are_of_all_positions_counted():
    first, second = Positions(100, 10), Positions(300, 90)
    assert first.plus(second).padding_share == pytest.approx(0.25)
    assert Positions().padding_share == 0.0


def test_expected_positions_are_those_of_the_batches_to_come():
    lengths = np.random.default_rng(0).integers(1, 33, 100)
    split = in_memory([[3] * n for n in lengths], [[3, 1]] * 100)
    shapes = [(8, 2), (16, 2), (32, 2)]
    batches = Batches(split, batch_size=8, seed=0, shapes=shapes, process_index=0, process_count=1)
    expected = expect_positions(batches, 30, prompt_length=5)
    tokens = [batches.next().encoder_tokens for _ in range(30)]
    assert expected.total == sum(8 * (5 + each.shape[1]) for each in tokens)
    assert expected.padding == sum(int((each == 0).sum()) for each in tokens)
