"""Similarities of task embeddings, against their definitions and planted neighbours."""

import numpy as np
import pytest

from prompt_tuning.transfer.similarity import (
    SIMILARITIES,
    find_similarity,
    mean_token,
    per_token,
    ranked,
    similarities,
    task_similarities,
)
from prompt_tuning.types import UserError

RNG = np.random.default_rng(0)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_each_is_what_its_formula_says():
    queries, keys = RNG.normal(size=(3, 5, 8)) + 1.0, RNG.normal(size=(4, 7, 8)) - 0.5
    tokens = similarities(queries, keys, "per_token")
    means = similarities(queries, keys, "mean_token")
    assert tokens.shape == means.shape == (3, 4)
    for i, query in enumerate(queries):
        for j, key in enumerate(keys):
            pairs = [_cosine(token, other) for token in query for other in key]
            assert tokens[i, j] == pytest.approx(np.mean(pairs), rel=1e-12)
            assert means[i, j] == pytest.approx(_cosine(query.mean(0), key.mean(0)), rel=1e-12)


def test_literal_values():
    first = np.array([[1.0, 0.0], [0.0, 2.0]])
    second = np.array([[[3.0, 0.0], [3.0, 0.0]], [[-1.0, 0.0], [0.0, -2.0]], np.zeros((2, 2))])
    np.testing.assert_allclose(similarities(first, second, "per_token"), [0.5, -0.5, 0.0])
    np.testing.assert_allclose(
        similarities(first, second, "mean_token"), [1 / np.sqrt(5), -1.0, 0.0], atol=1e-12
    )
    np.testing.assert_allclose(mean_token(first), [1 / np.sqrt(5), 2 / np.sqrt(5)])
    np.testing.assert_allclose(per_token(first), [0.5, 0.5])


@pytest.mark.parametrize("similarity", sorted(SIMILARITIES))
def test_the_planted_neighbour_is_found_whatever_its_length_and_scale(similarity: str):
    direction = RNG.normal(size=16)
    own = direction + 0.3 * RNG.normal(size=(5, 16))
    near = 10.0 * (direction + 0.3 * RNG.normal(size=(5, 16)))
    half = 0.5 * direction + RNG.normal(size=(5, 16))
    keys = np.stack([RNG.normal(size=(5, 16)), -own, near, half])
    order = ranked(similarities(own, keys, similarity))
    assert (order[0], order[-1]) == (2, 1)
    assert ranked(similarities(own[:3], keys, similarity))[0] == 2


@pytest.mark.parametrize("similarity", sorted(SIMILARITIES))
def test_tasks_are_compared_by_the_mean_over_pairs_of_seeds(similarity: str):
    queries, keys = RNG.normal(size=(3, 2, 5, 8)) + 0.3, RNG.normal(size=(4, 3, 5, 8)) + 0.3
    found = task_similarities(queries, keys, similarity)
    pairs = [
        similarities(queries[:, j], keys[:, i], similarity) for j in range(2) for i in range(3)
    ]
    np.testing.assert_allclose(found, np.mean(pairs, axis=0), rtol=1e-12)
    fewer = task_similarities([queries[0, :1], queries[1]], keys, similarity)
    np.testing.assert_allclose(fewer[1], found[1], rtol=1e-12)
    one = [similarities(queries[0, 0], keys[:, i], similarity) for i in range(3)]
    np.testing.assert_allclose(fewer[0], np.mean(one, axis=0), rtol=1e-12)


def test_of_equal_candidates_the_first_wins():
    assert ranked(np.array([0.1, 0.5, 0.5, 0.9])).tolist() == [3, 1, 2, 0]


def test_an_unknown_similarity_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no similarity 'mean_tokens' \(did you mean mean_token"):
        find_similarity("mean_tokens")
