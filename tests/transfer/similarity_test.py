"""Similarities of task embeddings, against their definitions and planted neighbours."""

import numpy as np
import pytest

from prompt_tuning.transfer.similarity import (
    SIMILARITIES,
    find_similarity,
    mean_token,
    most_similar,
    per_token,
)
from prompt_tuning.types import UserError

RNG = np.random.default_rng(0)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def test_each_is_what_its_formula_says():
    first, second = RNG.normal(size=(2, 5, 8)) + 1.0
    pairs = [_cosine(token, other) for token in first for other in second]
    assert per_token(first, second) == pytest.approx(np.mean(pairs), rel=1e-12)
    means = first.mean(0), second.mean(0)
    assert mean_token(first, second) == pytest.approx(_cosine(*means), rel=1e-12)


def test_literal_values():
    first = np.array([[1.0, 0.0], [0.0, 2.0]])
    second = np.array([[3.0, 0.0], [3.0, 0.0]])
    assert per_token(first, second) == pytest.approx(0.5)
    assert mean_token(first, second) == pytest.approx(1 / np.sqrt(5))
    assert mean_token(first, -first) == pytest.approx(-1.0)
    assert mean_token(first, np.zeros((2, 2))) == per_token(first, np.zeros((2, 2))) == 0.0


@pytest.mark.parametrize("similarity", sorted(SIMILARITIES))
def test_the_planted_neighbour_is_found_whatever_its_length_and_scale(similarity: str):
    direction = RNG.normal(size=16)
    own = direction + 0.3 * RNG.normal(size=(5, 16))
    candidates = {
        "far": RNG.normal(size=(5, 16)),
        "opposite": -own,
        "near": 10.0 * (direction + 0.3 * RNG.normal(size=(7, 16))),
        "half": 0.5 * direction + RNG.normal(size=(5, 16)),
    }
    measure = find_similarity(similarity)
    ranked = sorted(candidates, key=lambda name: -measure(own, candidates[name]))
    assert ranked[0] == "near" and ranked[-1] == "opposite"
    name, value = most_similar(own, candidates, similarity)
    assert name == "near"
    assert value == measure(own, candidates["near"])


def test_of_equal_candidates_the_first_wins():
    own = np.ones((2, 3))
    assert most_similar(own, {"b": own, "a": own}, "mean_token")[0] == "b"


def test_an_unknown_similarity_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no similarity 'mean_tokens' \(did you mean mean_token"):
        find_similarity("mean_tokens")
