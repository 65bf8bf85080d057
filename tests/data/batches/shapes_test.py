"""Shapes: the cheapest few that fit all."""

import itertools

import numpy as np
import pytest

from prompt_tuning.data.batches.shapes import choose_shapes, smallest_fit
from prompt_tuning.data.cached_task import CachedSplit, in_memory


def split_of(inputs, targets) -> CachedSplit:
    return in_memory([[3] * n for n in inputs], [[3] * n for n in targets])


def padded_tokens(shapes, split) -> int:
    fit = smallest_fit(shapes, split.inputs.lengths, split.targets.lengths)
    return sum(sum(shapes[i]) for i in fit)


def test_one_length_needs_one_shape():
    assert choose_shapes([split_of([7] * 5, [2] * 5)], 4, 4) == [(8, 2)]


def test_two_lengths_two_shapes():
    split = split_of([10] * 5 + [30] * 5, [2] * 10)
    assert choose_shapes([split], 2, 1) == [(10, 2), (30, 2)]
    assert choose_shapes([split], 1, 1) == [(30, 2)]


def test_long_targets_get_shapes_of_their_own():
    split = split_of([10, 11, 12] * 20, [2] * 30 + [40] * 30)
    assert choose_shapes([split], 2, 1) == [(12, 2), (12, 40)]


@pytest.mark.parametrize("seed", range(4))
def test_no_other_cut_by_input_length_is_cheaper(seed):
    draw = np.random.default_rng(seed)
    inputs = draw.integers(1, 12, 60)
    split = split_of(inputs, [2] * 60)
    best = min(
        padded_tokens([(width, 2) for width in (*cut, inputs.max())], split)
        for cut in itertools.combinations(np.unique(inputs)[:-1], 2)
    )
    chosen = choose_shapes([split], 3, 1)
    assert len(chosen) <= 3
    assert padded_tokens(chosen, split) == best


def test_a_shape_that_saves_next_to_nothing_is_not_made():
    inputs = [10] * 100 + [30] * 100 + [29]
    assert choose_shapes([split_of(inputs, [2] * 201)], 3, 1) == [(10, 2), (30, 2)]
    inputs[-20:] = [25] * 20  # now it saves more than a hundredth
    assert choose_shapes([split_of(inputs, [2] * 201)], 3, 1) == [(10, 2), (25, 2), (30, 2)]


@pytest.mark.parametrize("seed", range(4))
def test_last_shape_fits_everything(seed):
    draw = np.random.default_rng(seed)
    splits = [split_of(draw.integers(1, 600, 50), draw.integers(1, 70, 50)) for _ in range(2)]
    shapes = choose_shapes(splits, 5, 8)
    assert len(shapes) <= 5
    for split in splits:
        assert split.inputs.lengths.max() <= shapes[-1][0]
        assert split.targets.lengths.max() <= shapes[-1][1]


def test_examples_that_fit_nowhere_are_refused():
    fit = smallest_fit([(16, 2), (8, 2)], np.array([8, 9]), np.array([1, 2]))
    np.testing.assert_array_equal(fit, [1, 0])
    with pytest.raises(ValueError, match="17 input and 2 target tokens fits none"):
        smallest_fit([(16, 2)], np.array([17]), np.array([2]))
