"""Ragged arrays: rows, padding and joining."""

import numpy as np

from prompt_tuning.data import ragged


def test_padded_rows():
    rows = ragged.from_sequences([[5, 6, 7], [], [8]])
    np.testing.assert_array_equal(rows[0], [5, 6, 7])
    np.testing.assert_array_equal(
        rows.padded(np.array([2, 0, 1]), 4), [[8, 0, 0, 0], [5, 6, 7, 0], [0, 0, 0, 0]]
    )
    assert rows.padded(np.array([0]), 3).dtype == np.int32


def test_joined_parts_keep_their_order():
    parts = [ragged.from_sequences([[1, 2], [3]]), ragged.from_sequences([[4, 5, 6]])]
    joined = ragged.concatenate(parts)
    assert [row.tolist() for row in joined] == [[1, 2], [3], [4, 5, 6]]
    np.testing.assert_array_equal(joined.lengths, [2, 1, 3])


def test_nothing_at_all():
    empty = ragged.from_sequences([])
    assert len(empty) == 0
    np.testing.assert_array_equal(empty.padded(np.zeros(0, int), 3), np.zeros((0, 3)))
