"""Passes: every example once, padded little, in arrays whose shapes never change."""

import itertools

import numpy as np
import pytest

from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.training.passes import Cut, Cutter

SIZES = {(4, 2): 4, (8, 2): 2, (12, 3): 1}


def _batch(lengths: list[tuple[int, int]]) -> HostBatch:
    """A batch whose tokens all differ, so that examples can be told apart."""
    numbers = itertools.count(2)
    tokens, targets = np.zeros((len(lengths), 12), np.int32), np.zeros((len(lengths), 3), np.int32)
    for i, (inputs, outputs) in enumerate(lengths):
        tokens[i, :inputs] = [next(numbers) for _ in range(inputs)]
        targets[i, :outputs] = [next(numbers) for _ in range(outputs)]
    return HostBatch(tokens, targets)


def _cutter(mixed: bool) -> Cutter:
    return Cutter(SIZES, slots=3, batch_size=5, prompt_length=10, mixed=mixed)


def _shapes(cut: Cut) -> list[tuple[int, int]]:
    return [(passes.encoder_tokens.shape[2], count) for passes, count in cut.passes]


BATCHES = {
    2: _batch([(3, 1), (4, 2), (2, 1), (8, 2), (5, 1)]),
    0: _batch([(1, 1), (12, 3), (4, 2)]),
}


@pytest.mark.parametrize("mixed", [False, True])
def test_every_example_is_in_one_pass_with_its_slot_and_place(mixed: bool):
    found = {}
    for passes, count in _cutter(mixed).cut(BATCHES).passes:
        assert not passes.encoder_tokens[count:].any()
        for tokens, targets, slot, place in zip(
            *(x[:count].reshape(-1, *x.shape[2:]) for x in map(np.asarray, passes)), strict=True
        ):
            if tokens.any():
                assert (slot, place) not in found
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
    assert _shapes(_cutter(False).cut(BATCHES)) == [(8, 3), (12, 3)]
    # Together: five short ones fill a pass of four, and the last joins those of 8.
    assert _shapes(_cutter(True).cut(BATCHES)) == [(4, 1), (8, 1), (12, 2)]
    assert _shapes(_cutter(True).cut({1: _batch([(3, 1)] * 3)})) == [(4, 1)]


def test_a_pass_that_rows_do_not_share_holds_one_slot():
    for passes, count in _cutter(False).cut(BATCHES).passes:
        assert all(len(set(slots.tolist())) == 1 for slots in np.asarray(passes.slot[:count]))


@pytest.mark.parametrize("mixed", [False, True])
def test_full_batches_fit_the_arrays_whatever_their_lengths(mixed: bool):
    empty = {passes.encoder_tokens.shape for passes in _cutter(mixed).empty()}
    for length in ((4, 2), (8, 1), (12, 3), (1, 3)):
        cut = _cutter(mixed).cut({slot: _batch([length] * 5) for slot in range(3)})
        for passes, count in cut.passes:
            assert passes.encoder_tokens.shape in empty
            assert count <= passes.encoder_tokens.shape[0]


def test_what_a_row_costs_counts_prompts_padding_and_fillers():
    # Row 2, all in passes of two padded to 8: 22 tokens, 18 of padding, a filler, prompts of 10.
    positions = _cutter(False).cut(BATCHES).positions
    assert positions[2] == (6 * 18, 18 + 18)
    total = sum(count.total for count in _cutter(True).cut(BATCHES).positions.values())
    assert total == 4 * 14 + 2 * 18 + 2 * 22
