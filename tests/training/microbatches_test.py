"""Microbatches: every example once, padded little, in arrays whose shapes never change."""

import itertools

import numpy as np
import pytest

from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.training.microbatches import Microbatcher, SplitBatches

SIZES = {(4, 2): 4, (8, 2): 2, (12, 3): 1}


def _batch(lengths: list[tuple[int, int]]) -> HostBatch:
    """A batch whose tokens all differ, so that examples can be told apart."""
    numbers = itertools.count(2)
    tokens, targets = np.zeros((len(lengths), 12), np.int32), np.zeros((len(lengths), 3), np.int32)
    for i, (inputs, outputs) in enumerate(lengths):
        tokens[i, :inputs] = [next(numbers) for _ in range(inputs)]
        targets[i, :outputs] = [next(numbers) for _ in range(outputs)]
    return HostBatch(tokens, targets, np.arange(len(lengths), dtype=np.int32) % 2)


def _microbatcher(mixed: bool) -> Microbatcher:
    return Microbatcher(SIZES, slots=3, batch_size=5, prompt_length=10, mixed=mixed)


def _shapes(split: SplitBatches) -> list[tuple[int, int]]:
    return [(arrays.encoder_tokens.shape[2], count) for arrays, count in split.microbatches]


BATCHES = {
    2: _batch([(3, 1), (4, 2), (2, 1), (8, 2), (5, 1)]),
    0: _batch([(1, 1), (12, 3), (4, 2)]),
}


@pytest.mark.parametrize("mixed", [False, True])
def test_every_example_is_in_one_microbatch_with_its_slot_part_and_place(mixed: bool):
    found = {}
    for arrays, count in _microbatcher(mixed).split(BATCHES).microbatches:
        assert not arrays.encoder_tokens[count:].any()
        for tokens, targets, slot, part, place in zip(
            *(x[:count].reshape(-1, *x.shape[2:]) for x in map(np.asarray, arrays)), strict=True
        ):
            if tokens.any():
                assert (slot, place) not in found and part == place % 2
                found[slot, place] = tokens[tokens > 0], targets[targets > 0]
            else:
                assert not targets.any()
    assert set(found) == {(0, i) for i in range(3)} | {(2, i) for i in range(5)}
    for (slot, place), (tokens, targets) in found.items():
        batch = BATCHES[slot]
        np.testing.assert_array_equal(
            tokens, batch.encoder_tokens[place][batch.encoder_tokens[place] > 0]
        )
        np.testing.assert_array_equal(targets, batch.targets[place][batch.targets[place] > 0])


def test_what_is_left_of_a_shape_joins_a_wider_one():
    # Row 0: two short examples join the long one. Row 2: three short ones join the two of 8.
    assert _shapes(_microbatcher(False).split(BATCHES)) == [(8, 3), (12, 3)]
    # Together: five short ones fill a microbatch of four, and the last joins those of 8.
    assert _shapes(_microbatcher(True).split(BATCHES)) == [(4, 1), (8, 1), (12, 2)]
    assert _shapes(_microbatcher(True).split({1: _batch([(3, 1)] * 3)})) == [(4, 1)]


def test_a_microbatch_that_rows_do_not_share_holds_one_slot():
    for arrays, count in _microbatcher(False).split(BATCHES).microbatches:
        assert all(len(set(slots.tolist())) == 1 for slots in np.asarray(arrays.slot[:count]))


@pytest.mark.parametrize("mixed", [False, True])
def test_full_batches_fit_the_arrays_whatever_their_lengths(mixed: bool):
    empty = {arrays.encoder_tokens.shape for arrays in _microbatcher(mixed).empty()}
    for length in ((4, 2), (8, 1), (12, 3), (1, 3)):
        split = _microbatcher(mixed).split({slot: _batch([length] * 5) for slot in range(3)})
        for arrays, count in split.microbatches:
            assert arrays.encoder_tokens.shape in empty
            assert count <= arrays.encoder_tokens.shape[0]


def test_what_a_row_costs_counts_prompts_padding_and_fillers():
    # Row 2, all in microbatches of two padded to 8: 22 tokens, 18 of padding, a filler,
    # prompts of 10.
    positions = _microbatcher(False).split(BATCHES).positions
    assert positions[2] == (6 * 18, 18 + 18)
    total = sum(count.total for count in _microbatcher(True).split(BATCHES).positions.values())
    assert total == 4 * 14 + 2 * 18 + 2 * 22
