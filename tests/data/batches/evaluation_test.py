"""Evaluation batches: every example of every item once, prompts mixed."""

import numpy as np
import pytest

from prompt_tuning.data.batches.evaluation import Encoding, eval_batches
from prompt_tuning.data.cached_task import in_memory

WHOLE = Encoding(0, lambda width: 4)


def split_of(lengths, first):
    return in_memory(
        [[first + i, *[3] * (n - 1)] for i, n in enumerate(lengths)], [[1]] * len(lengths)
    )


def test_every_example_of_every_item_once():
    one, two = split_of([5, 9, 3, 12], 100), split_of([4, 11, 2], 200)
    items = [(7, one), (2, two), (0, one)]
    seen = []
    for batch in eval_batches(items, batch_size=4, shapes=[(6, 2), (12, 4)], encoding=WHOLE):
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


def test_the_last_batch_is_filled_up_with_padding():
    (batch,) = eval_batches(
        [(0, split_of([3, 2], 100))], batch_size=4, shapes=[(4, 2)], encoding=WHOLE
    )
    np.testing.assert_array_equal(batch.valid, [True, True, False, False])
    np.testing.assert_array_equal((batch.encoder_tokens > 0).sum(1), [2, 3, 0, 0])


def test_short_examples_share_narrow_batches():
    items = [(0, split_of([2, 30] * 4, 100))]
    widths = [
        b.encoder_tokens.shape[1]
        for b in eval_batches(items, batch_size=4, shapes=[(2, 2), (30, 2)], encoding=WHOLE)
    ]
    assert widths == [2, 30]


def test_nothing_to_do_and_nothing_that_fits():
    assert list(eval_batches([], batch_size=4, shapes=[(4, 2)], encoding=WHOLE)) == []
    with pytest.raises(ValueError, match="fits none of the shapes"):
        list(eval_batches([(0, split_of([9], 1))], batch_size=1, shapes=[(4, 2)], encoding=WHOLE))


def widths_of(lengths, pass_size):
    """Returns the width and the examples of each batch, where a prompt has 100 tokens."""
    encoding = Encoding(100, lambda width: pass_size)
    items = [(0, split_of(lengths, 100))]
    shapes = [(20, 2), (400, 2)]
    batches = eval_batches(items, batch_size=16, shapes=shapes, encoding=encoding)
    return [(b.encoder_tokens.shape[1], int(b.valid.sum())) for b in batches]


def test_short_examples_go_without_long_ones_where_padding_costs_more_than_a_batch():
    assert widths_of([20] * 8 + [400] * 8, pass_size=2) == [(20, 8), (400, 8)]
    assert widths_of([20] + [400] * 15, pass_size=2) == [(400, 16)]
    assert widths_of([20] * 8 + [400] * 8, pass_size=16) == [
        (400, 16)
    ]  # a pass is never half empty


def test_examples_of_long_targets_go_apart_where_there_are_enough():
    short = in_memory([[5] * n for n in (9, 3, 12, 7, 6)], [[3, 1]] * 5)
    long = in_memory([[6] * n for n in (8, 4, 2)], [[3] * 30] * 3)
    batches = list(
        eval_batches([(0, long), (1, short)], batch_size=4, shapes=[(12, 30)], encoding=WHOLE)
    )
    assert [batch.item[batch.valid].tolist() for batch in batches] == [[1] * 4, [1], [0] * 3]
    (together,) = eval_batches(
        [(0, long), (1, short)], batch_size=9, shapes=[(12, 30)], encoding=WHOLE
    )
    assert together.valid.sum() == 8
