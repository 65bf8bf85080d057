"""Every initialiser: values, errors and warnings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts.initializers import (
    UNIFORM_RANGES,
    class_labels,
    from_pieces,
    sampled_vocabulary,
    uniform,
)
from prompt_tuning.types import UserError

# Row i of the table is [i, i].
TABLE = np.repeat(np.arange(10.0, dtype=np.float32)[:, None], 2, axis=1)
KEY = jax.random.key(0)


def minus_one(key, shape):
    """A fallback that shows."""
    del key
    return np.full(shape, -1.0, np.float32)


def rows(prompt):
    return np.asarray(prompt)[:, 0].tolist()


def no_fallback(key, shape):
    raise AssertionError("the fallback was not needed")


@pytest.mark.parametrize(
    ("bounds", "low", "high"), [("paper", -0.5, 0.5), ("reference_code", 0.0, 0.5)]
)
def test_uniform_fills_the_named_range(bounds, low, high):
    prompt = uniform(bounds)(KEY, (100, 50))
    assert UNIFORM_RANGES[bounds] == (low, high) and prompt.dtype == jnp.float32
    assert low <= prompt.min() < low + 0.01 and high - 0.01 < prompt.max() < high


def test_uniform_refuses_an_unknown_range():
    with pytest.raises(UserError, match=r"no range is called 'papre' \(did you mean paper\?\)"):
        uniform("papre")
    with pytest.raises(UserError, match="use paper or reference_code"):
        uniform("?")


def test_initialisers_repeat_with_the_key():
    for initializer in (uniform("paper"), sampled_vocabulary(TABLE, None)):
        first, again = initializer(KEY, (4, 2)), initializer(KEY, (4, 2))
        np.testing.assert_array_equal(first, again)
        assert np.any(first != initializer(jax.random.key(1), (4, 2)))


def test_sampled_vocabulary_draws_distinct_rows_of_the_population():
    assert sorted(rows(sampled_vocabulary(TABLE, 6)(KEY, (6, 2)))) == [0, 1, 2, 3, 4, 5]


def test_sampled_vocabulary_draws_from_all_rows_without_a_population():
    assert sorted(rows(sampled_vocabulary(TABLE, None)(KEY, (10, 2)))) == list(range(10))


def test_sampled_vocabulary_reads_half_precision_tables():
    prompt = sampled_vocabulary(jnp.asarray(TABLE, jnp.bfloat16), 3)(KEY, (3, 2))
    assert prompt.dtype == jnp.float32 and sorted(rows(prompt)) == [0, 1, 2]


def test_a_population_beyond_the_table_is_cut_with_a_warning():
    with pytest.warns(UserWarning, match="population 11 is larger than the embedding table"):
        initializer = sampled_vocabulary(TABLE, 11)
    assert sorted(rows(initializer(KEY, (10, 2)))) == list(range(10))


def test_more_prompt_tokens_than_population_draws_with_replacement_and_warns():
    with pytest.warns(UserWarning, match="5 prompt tokens from a population of 3 rows"):
        prompt = sampled_vocabulary(TABLE, 3)(KEY, (5, 2))
    assert len(rows(prompt)) == 5 and set(rows(prompt)) <= {0, 1, 2}


@pytest.mark.parametrize("population", [0, -5])
def test_a_population_of_nothing_is_refused(population):
    with pytest.raises(UserError, match=f"population is {population}; give a positive"):
        sampled_vocabulary(TABLE, population)


def test_class_labels_start_from_the_mean_of_their_pieces():
    prompt = class_labels(TABLE, [[2], [3, 6], [1, 1, 7]], minus_one)(KEY, (5, 2))
    np.testing.assert_array_equal(prompt, [[2, 2], [4.5, 4.5], [3, 3], [-1, -1], [-1, -1]])
    assert prompt.dtype == jnp.float32


def test_means_and_draws_are_those_of_jax_to_the_bit():
    table = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    fallback = sampled_vocabulary(table, 40)
    prompt = class_labels(table, [[3, 4, 6], [1, 2, 5, 7, 9]], fallback)(KEY, (6, 8))
    means = [
        jnp.mean(jnp.asarray(table)[np.asarray(p)], axis=0) for p in ([3, 4, 6], [1, 2, 5, 7, 9])
    ]
    np.testing.assert_array_equal(prompt[:2], jnp.stack(means))
    drawn = jax.random.choice(KEY, 40, (6,), replace=False)
    np.testing.assert_array_equal(prompt[2:], table[np.asarray(drawn)[2:]])


def test_as_many_labels_as_tokens_need_no_fallback():
    assert rows(class_labels(TABLE, [[2], [3]], no_fallback)(KEY, (2, 2))) == [2, 3]


def test_surplus_labels_are_dropped_with_a_warning():
    with pytest.warns(UserWarning, match="3 labels for 2 prompt tokens; dropping the last"):
        prompt = class_labels(TABLE, [[2], [3], [4]], no_fallback)(KEY, (2, 2))
    assert rows(prompt) == [2, 3]


def test_the_fallback_fills_in_what_it_would_draw_by_itself():
    vocabulary = sampled_vocabulary(TABLE, None)
    filled = class_labels(TABLE, [[2]], vocabulary)(KEY, (5, 2))
    np.testing.assert_array_equal(filled[1:], vocabulary(KEY, (5, 2))[1:])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "there are no labels"),
        ([[1], []], "label 1 has no pieces"),
        ([[1], [2, 10]], "id 10 is not a row of the embedding table, which has 10"),
        ([[-1]], "id -1 is not a row"),
    ],
)
def test_impossible_labels_are_refused(labels, message):
    with pytest.raises(UserError, match=message):
        class_labels(TABLE, labels, minus_one)


def test_pieces_give_one_row_each_and_the_rest_is_the_fallback():
    assert rows(from_pieces(TABLE, [4, 9, 4], minus_one)(KEY, (5, 2))) == [4, 9, 4, -1, -1]


def test_pieces_are_cut_at_the_prompt_length():
    assert rows(from_pieces(TABLE, [4, 9, 4], no_fallback)(KEY, (2, 2))) == [4, 9]


@pytest.mark.parametrize(("pieces", "message"), [([], "no pieces"), ([3, 12], "id 12 is not")])
def test_impossible_pieces_are_refused(pieces, message):
    with pytest.raises(UserError, match=message):
        from_pieces(TABLE, pieces, minus_one)


@pytest.mark.parametrize(
    "initializer",
    [
        sampled_vocabulary(TABLE, 5),
        class_labels(TABLE, [[1]], minus_one),
        from_pieces(TABLE, [1], minus_one),
    ],
    ids=["sampled_vocabulary", "class_labels", "from_pieces"],
)
def test_a_table_of_another_width_is_refused(initializer):
    with pytest.raises(UserError, match="the embedding table is 2 wide, the prompt 3"):
        initializer(KEY, (4, 3))
