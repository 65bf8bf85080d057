"""The training pipeline: seeded, resumable, sharded, mixed by rate, with little padding."""

import collections

import numpy as np
import pytest

from prompt_tuning.data.batches.pipeline import Batches, choose_shapes
from prompt_tuning.data.cached_task import CachedSplit, in_memory
from prompt_tuning.types import UserError


def numbered(count: int, first: int = 10, seed: int = 0) -> CachedSplit:
    """Returns examples of 4 to 40 tokens whose first token tells them apart."""
    lengths = np.random.default_rng(seed).integers(4, 41, count)
    return in_memory(
        [[first + i, *[3] * (n - 2), 1] for i, n in enumerate(lengths)],
        [[first + i, 1] for i in range(count)],
    )


def batches(parts, **options) -> Batches:
    splits = [parts] if isinstance(parts, CachedSplit) else [split for split, _ in parts]
    settings = {
        "batch_size": 8,
        "seed": 3,
        "shapes": choose_shapes(splits, 4, 4),
        "process_index": 0,
        "process_count": 1,
    }
    return Batches(parts, **(settings | options))


def drawn(source: Batches, count: int) -> np.ndarray:
    """Returns the first token of each example of some batches, `[count, B]`."""
    return np.stack([source.next().encoder_tokens[:, 0] for _ in range(count)])


def equal(one, other) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_batches_hold_the_examples_padded_to_a_shape():
    split = numbered(100)
    source = batches(split)
    for _ in range(40):
        batch = source.next()
        assert batch.encoder_tokens.dtype == batch.targets.dtype == np.int32
        assert (batch.encoder_tokens.shape[1], batch.targets.shape[1]) in source.shapes
        for tokens, target in zip(batch.encoder_tokens, batch.targets, strict=True):
            example = split.inputs[tokens[0] - 10]
            np.testing.assert_array_equal(tokens, np.pad(example, (0, len(tokens) - len(example))))
            assert target[0] == tokens[0]


@pytest.mark.parametrize("count", [64, 96, 1024])
def test_each_epoch_visits_each_example_once(count):
    source = batches(numbered(count), batch_size=16)
    for _ in range(3):
        visited = np.sort(drawn(source, count // 16).ravel())
        np.testing.assert_array_equal(visited, np.arange(10, 10 + count))


def test_epochs_of_no_whole_number_of_batches():
    source = batches(numbered(100), batch_size=16)  # a window is 6 batches, 96 examples
    visits = collections.Counter()
    for window in range(25):
        visits.update(drawn(source, 6).ravel().tolist())
        complete = (window + 1) * 96 // 100
        assert {visits[i] for i in range(10, 110)} <= {complete, complete + 1}
    assert set(visits.values()) == {24}


def test_order_depends_on_the_seed_and_the_epoch():
    split = numbered(64)
    first = drawn(batches(split), 16)
    np.testing.assert_array_equal(first, drawn(batches(split), 16))
    assert (first != drawn(batches(split, seed=4), 16)).any()
    epochs = first.reshape(2, 8, 8)
    companions = [{tuple(sorted(batch)) for batch in epoch.tolist()} for epoch in epochs]
    assert companions[0] != companions[1]


def test_seeds_differ_in_their_examples_and_share_the_order_of_lengths():
    split = numbered(1024)
    one, other = (batches(split, seed=seed) for seed in (0, 1))
    chosen = [(one.chosen(position), other.chosen(position)) for position in range(256)]
    assert np.mean([a.shape == b.shape for a, b in chosen]) > 0.9
    assert all((np.sort(a.examples) != np.sort(b.examples)).any() for a, b in chosen)
    shapes = [a.shape for a, _ in chosen]  # a window is 128 batches
    assert shapes[:128] != shapes[128:] and sorted(shapes[:128]) == sorted(shapes[128:])


def test_fewer_examples_than_a_batch():
    split = numbered(3)
    visits = collections.Counter(drawn(batches(split), 12).ravel().tolist())
    assert sorted(visits) == [10, 11, 12]
    assert max(visits.values()) - min(visits.values()) <= 1


@pytest.mark.parametrize("position", [0, 1, 7, 8, 33, 200, 1000])
def test_restoring_continues_exactly(position):
    parts = [(numbered(50), 1.0), (numbered(300, first=1000, seed=1), 2.5)]
    whole = batches(parts)
    for _ in range(position):
        whole.next()
    resumed = batches(parts)
    resumed.next()
    resumed.restore(whole.state())
    for _ in range(50):
        assert equal(resumed.next(), whole.next())


def test_restoring_an_earlier_position():
    source = batches([(numbered(50), 1.0), (numbered(300, first=1000, seed=1), 2.5)])
    start = source.state()
    first = drawn(source, 200)
    source.restore(start)
    np.testing.assert_array_equal(drawn(source, 200), first)


def test_a_state_of_other_data_or_settings_is_refused():
    state = batches(numbered(50)).state()
    for other in (
        batches(numbered(51)),
        batches(numbered(50, seed=1)),
        batches(numbered(50), seed=9),
        batches(numbered(50), batch_size=4),
    ):
        with pytest.raises(UserError, match="the data position was saved with"):
            other.restore(state)


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_each_batch(processes):
    split = numbered(100)
    whole = batches(split)
    shares = [batches(split, process_index=p, process_count=processes) for p in range(processes)]
    for _ in range(40):
        pieces = [share.next() for share in shares]
        assert equal(whole.next(), [np.concatenate(rows) for rows in zip(*pieces, strict=True)])


def test_mixture_rates_hold_over_windows_and_in_each():
    parts = [(numbered(40), 1.0), (numbered(200, 1000, 1), 4.0), (numbered(90, 5000, 2), 0.5)]
    source = batches(parts)
    which = np.searchsorted([1000, 5000], drawn(source, 41 * 60), side="right")
    rates = np.array([1.0, 4.0, 0.5]) / 5.5
    counts = np.bincount(which.ravel(), minlength=3)
    assert np.abs(counts - rates * which.size).max() < 3
    for window in which.reshape(60, -1):  # a window is all examples in batches: 330 // 8 = 41
        counts = np.bincount(window, minlength=3)
        assert np.abs(counts - rates * window.size).max() < 1


def test_a_part_of_a_mixture_is_read_in_epochs():
    parts = [(numbered(40), 1.0), (numbered(200, 1000, 1), 4.0)]
    visits = collections.Counter(drawn(batches(parts), 30 * 20).ravel().tolist())
    for numbers in (range(10, 50), range(1000, 1200)):
        counts = [visits[n] for n in numbers]
        assert max(counts) - min(counts) <= 1


def test_padding_is_a_small_share_on_realistic_lengths():
    draw = np.random.default_rng(0)
    lengths = np.clip(np.exp(draw.normal(np.log(22), 0.4, 20_000)), 4, 128).astype(int)
    split = in_memory([[3] * n for n in lengths], [[3, 1]] * len(lengths))
    source = batches(split, batch_size=32, shapes=choose_shapes([split], 8, 1))
    tokens = np.concatenate([source.next().encoder_tokens.ravel() for _ in range(625)])
    padding_share = np.mean(tokens == 0)
    assert padding_share < 0.13
    shuffled = draw.permutation(lengths).reshape(-1, 32)
    assert padding_share < 0.3 * (1 - shuffled.mean() / shuffled.max(1).mean())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 9, "process_count": 2}, "batch size 9 over 2 processes"),
        ({"seed": -1}, "data seed -1 is negative"),
        ({"shapes": [(16, 2)]}, "fits none of the shapes"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(UserError, match=message):
        batches(numbered(50), **options)


def test_bad_parts():
    with pytest.raises(UserError, match="every rate has to be positive"):
        batches([(numbered(5), 0.0), (numbered(5), 1.0)])
    with pytest.raises(UserError, match="has no examples"):
        batches([(in_memory([], []), 1.0), (numbered(5), 1.0)])
