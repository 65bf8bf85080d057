"""Evaluation batches: every example of every item once, prompts mixed."""

import numpy as np
import pytest

from prompt_tuning.data.cached_task import in_memory
from prompt_tuning.data.evaluation_batches import eval_batches


def split_of(lengths, first):
    return in_memory(
        [[first + i, *[3] * (n - 1)] for i, n in enumerate(lengths)], [[1]] * len(lengths)
    )


def test_every_example_of_every_item_once():
    one, two = split_of([5, 9, 3, 12], 100), split_of([4, 11, 2], 200)
    items = [(7, one), (2, two), (0, one)]
    seen = []
    for batch in eval_batches(items, batch_size=4, shapes=[(6, 2), (12, 4)]):
        assert batch.encoder_tokens.shape in {(4, 6), (4, 12)}
        for row in np.flatnonzero(batch.valid):
            prompt, split = items[batch.item[row]]
            assert batch.prompt_id[row] == prompt
            example = split.inputs[batch.example[row]]
            np.testing.assert_array_equal(batch.encoder_tokens[row, : len(example)], example)
            assert not batch.encoder_tokens[row, len(example) :].any()
            seen.append((int(batch.item[row]), int(batch.example[row])))
    assert sorted(seen) == [(0, i) for i in range(4)] + [(1, i) for i in range(3)] + [
        (2, i) for i in range(4)
    ]


def test_last_batch_repeats_a_row_to_be_full():
    (batch,) = eval_batches([(0, split_of([3, 2], 100))], batch_size=4, shapes=[(4, 2)])
    np.testing.assert_array_equal(batch.valid, [True, True, False, False])
    np.testing.assert_array_equal(batch.encoder_tokens[2], batch.encoder_tokens[1])


def test_short_examples_share_narrow_batches():
    items = [(0, split_of([2, 30] * 4, 100))]
    widths = [
        b.encoder_tokens.shape[1]
        for b in eval_batches(items, batch_size=4, shapes=[(2, 2), (30, 2)])
    ]
    assert widths == [2, 30]


def test_nothing_to_do_and_nothing_that_fits():
    assert list(eval_batches([], batch_size=4, shapes=[(4, 2)])) == []
    with pytest.raises(ValueError, match="fits none of the shapes"):
        list(eval_batches([(0, split_of([9], 1))], batch_size=1, shapes=[(4, 2)]))
