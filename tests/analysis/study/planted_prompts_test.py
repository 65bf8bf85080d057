"""Planted prompts: where similarity is known and the gain follows it, every measure says so."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.study.chance import top_minus_exchanged, top_minus_random
from prompt_tuning.analysis.study.correlation import (
    CANDIDATES,
    PEARSON,
    SOURCES,
    SPEARMAN,
    mean_correlation,
    target_correlations,
)
from prompt_tuning.analysis.study.retrieval import best_of_top_k, oracle
from prompt_tuning.analysis.study.retrieval_table import retrieval_lines
from prompt_tuning.analysis.study.scores import Study
from prompt_tuning.transfer.similarity import SIMILARITIES, similarities
from tests.analysis.made_up_studies import renamed, study_of, transfer_of

TARGETS, SEEDS, SOURCE_TASKS, SOURCE_SEEDS, LENGTH, WIDTH = 10, 3, 8, 3, 5, 64
SHUFFLES = 40


def _planted(similarity: str) -> Study:
    """Returns a study of 24 source prompts whose tasks lie at known angles to those of the targets.

    A task is a direction; a prompt's tokens are that direction, with noise. The score from a
    source rises with the cosine between the two tasks' directions.
    """
    rng = np.random.default_rng(3)
    targets = np.linalg.qr(rng.normal(size=(WIDTH, TARGETS)))[0].T
    angles = rng.permuted(np.tile(np.linspace(0.1, 0.9, SOURCE_TASKS), (TARGETS, 1)), axis=1)
    # Least-norm directions with those dot products with every target, plus a part of their own.
    sources = angles.T @ targets + rng.normal(size=(SOURCE_TASKS, WIDTH)) / WIDTH
    sources /= np.linalg.norm(sources, axis=1, keepdims=True)
    cosines = np.repeat(targets @ sources.T, SOURCE_SEEDS, axis=1)

    def tuned(directions: np.ndarray, seeds: int) -> np.ndarray:
        noise = rng.normal(size=(len(directions), seeds, LENGTH, WIDTH)) / WIDTH
        return directions[:, None, None] + 0.1 * noise

    queries = tuned(targets, SEEDS)
    keys = tuned(sources, SOURCE_SEEDS).reshape(-1, LENGTH, WIDTH)
    scores = 60.0 + 30.0 * cosines[:, None] + rng.normal(scale=0.1, size=(TARGETS, SEEDS, 24))
    transfer = transfer_of(scores, scores + rng.normal(scale=0.1, size=scores.shape), baseline=60.0)
    names = [f"source{i}" for i in range(SOURCE_TASKS) for _ in range(SOURCE_SEEDS)]
    return study_of(
        renamed(transfer, sources=names), similarities(queries, keys, similarity), ks=(1, 3, 6)
    )


@pytest.mark.parametrize("similarity", sorted(SIMILARITIES))
def test_planted_sources_are_ranked_right(similarity: str):
    study = _planted(similarity)
    for level in (CANDIDATES, SOURCES):
        for method in (PEARSON, SPEARMAN):
            found = target_correlations(
                study, similarity="mean_token", method=method, level=level, same_task=False
            )
            mean = mean_correlation(found)
            assert mean and mean.value > 0.95 and mean.interval and mean.interval.low > 0.9
    for k in study.ks:
        difference, _ = top_minus_random(study, "mean_token", k)
        assert difference and difference.interval and difference.interval.low > 0
        exchanged, p = top_minus_exchanged(study, "mean_token", k)
        assert exchanged and exchanged.interval and exchanged.interval.low > 0 and p
        assert p < 0.01
    first = next(line for line in retrieval_lines(study) if line.method.k == 1)
    assert first.kept is not None and first.kept > 0.97
    top = best_of_top_k(study.transfer, study.similarities["mean_token"], 3)
    np.testing.assert_allclose(top, oracle(study.transfer), atol=1.0)


def test_where_gains_are_shuffled_similarity_predicts_nothing():
    study = _planted("mean_token")
    rng = np.random.default_rng(0)
    differences, covered, correlated = [], 0, 0
    for _ in range(SHUFFLES):
        shuffled = _shuffled(study, rng)
        difference, _ = top_minus_random(shuffled, "mean_token", 3)
        found = target_correlations(
            shuffled, similarity="mean_token", method=PEARSON, level=SOURCES, same_task=False
        )
        mean = mean_correlation(found)
        assert difference and difference.interval and mean and mean.interval
        differences.append(difference.mean)
        covered += difference.interval.low < 0 < difference.interval.high
        correlated += mean.interval.low < 0 < mean.interval.high
    assert abs(np.mean(differences)) < 3 * np.std(differences) / SHUFFLES**0.5
    assert covered > 0.8 * SHUFFLES and correlated > 0.8 * SHUFFLES


def test_where_sources_are_shuffled_their_likeness_is_no_fault_of_similarity():
    study = _planted("mean_token")
    rng = np.random.default_rng(0)
    random, exchanged, values = [], [], []
    for _ in range(SHUFFLES):
        order = rng.permuted(np.tile(np.arange(SOURCE_TASKS), (TARGETS, 1)), axis=1)
        places = order[..., None] * SOURCE_SEEDS + np.arange(SOURCE_SEEDS)
        shuffled = _reordered(study, places.reshape(TARGETS, 1, -1))
        minus_random, _ = top_minus_random(shuffled, "mean_token", 3)
        minus_exchanged, p = top_minus_exchanged(shuffled, "mean_token", 3)
        assert minus_random and minus_exchanged and p
        random.append(minus_random.mean)
        exchanged.append(minus_exchanged.mean)
        values.append(p)
    # Three at random are of three tasks, the three most similar of one.
    assert np.mean(random) < -3.0
    assert abs(np.mean(exchanged)) < 3 * np.std(exchanged) / SHUFFLES**0.5
    assert 0.25 < np.mean(values) < 0.75


def _shuffled(study: Study, rng: np.random.Generator) -> Study:
    """Returns the study with each target's source prompts exchanged for one another."""
    return _reordered(study, rng.permuted(np.tile(np.arange(24), (TARGETS, 1)), axis=1)[:, None])


def _reordered(study: Study, places: np.ndarray) -> Study:
    """Returns the study with the scores of each target's sources from other places, `[T, 1, C]`."""
    scores, validation = (
        np.take_along_axis(values, places, axis=2)
        for values in (study.transfer.scores, study.transfer.validation)
    )
    transfer = dataclasses.replace(study.transfer, scores=scores, validation=validation)
    return dataclasses.replace(study, transfer=transfer)
