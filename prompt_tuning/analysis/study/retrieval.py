"""Scores of retrieved source prompts: best of top-k, best of random k, and the oracle.

The best of several candidates is chosen by validation score and counts with its test score; ties on
validation count with their mean test score. Candidates without a transfer run, and prompts of the
target itself, are left out.
"""

import math

import numpy as np

from prompt_tuning.analysis.statistics import finite_mean
from prompt_tuning.analysis.study.scores import MethodScores, Study, TransferScores
from prompt_tuning.transfer.similarity import ranked

BASELINE = "prompt_tuning"
ORACLE = "oracle"
TOP_K = "best_of_top_k"
RANDOM_K = "best_of_random_k"


def eligible(transfer: TransferScores) -> np.ndarray:
    """Returns a mask of the candidates of each target and seed, `[T, J, C]`."""
    run = np.isfinite(transfer.scores) & np.isfinite(transfer.validation)
    return run & ~transfer.same_task[:, None, :]


def comparable(transfer: TransferScores) -> np.ndarray:
    """Returns a mask of the targets with a baseline and a candidate for every seed, `[T]`."""
    candidates = eligible(transfer).any(axis=-1)
    return np.all(np.isfinite(transfer.baseline) & candidates, axis=-1)


def best_of_top_k(transfer: TransferScores, similarities: np.ndarray, k: int) -> np.ndarray:
    """Returns the test score of the best of the k most similar candidates, `[T, J]`.

    The first of equally similar candidates win; all count where there are no more than k. NaN
    where there is no candidate.

    Args:
        transfer: The study's scores.
        similarities: Similarity of each target's embedding to each candidate's, `[T, J, C]`.
        k: Number of candidates to retrieve, at least 1.
    """
    allowed = eligible(transfer)
    among = most_similar(allowed, similarities, k)
    return best_on_validation(transfer.scores, transfer.validation, among)


def best_of_random_k(transfer: TransferScores, k: int) -> np.ndarray:
    """Returns the expected test score of the best of k candidates drawn at random, `[T, J]`.

    The mean over all subsets of k of the n candidates. If h candidates score above a group of g
    that tie on validation, the best of a subset is in that group with probability
    `(C(n - h, k) - C(n - h - g, k)) / C(n, k)`, and by symmetry counts with the mean of the group.
    All candidates are drawn where there are no more than k.
    """
    allowed = eligible(transfer)
    expected = np.full(allowed.shape[:-1], np.nan)
    for place in np.ndindex(expected.shape):
        chosen = allowed[place]
        if chosen.any():
            values = transfer.scores[place][chosen], transfer.validation[place][chosen]
            expected[place] = _expected_best(*values, _checked(k))
    return expected


def oracle(transfer: TransferScores) -> np.ndarray:
    """Returns the test score of the best of all candidates, `[T, J]`."""
    return best_on_validation(transfer.scores, transfer.validation, eligible(transfer))


def search_space_cut(transfer: TransferScores, k: int) -> float | None:
    """Returns the share of transfers that top-k saves, `1 - k / C`, mean over targets."""
    counts = eligible(transfer).sum(axis=-1)
    counts = counts[counts > 0]
    return float(np.mean(1.0 - np.minimum(k, counts) / counts)) if counts.size else None


def retrievals(study: Study) -> list[MethodScores]:
    """Returns the scores of every way to use the source prompts, in the order of the paper's table.

    Baseline, oracle, best of top-k for each similarity and k, best of random k, and the methods
    that train further rows (Vu et al. 2022, Table 3).
    """
    transfer = study.transfer
    methods = [
        MethodScores(method=BASELINE, similarity=None, k=None, scores=transfer.baseline),
        MethodScores(method=ORACLE, similarity=None, k=None, scores=oracle(transfer)),
    ]
    for name, values in study.similarities.items():
        for k in study.ks:
            scores = best_of_top_k(transfer, values, k)
            methods.append(MethodScores(method=TOP_K, similarity=name, k=k, scores=scores))
    for k in study.ks:
        scores = best_of_random_k(transfer, k)
        methods.append(MethodScores(method=RANDOM_K, similarity=None, k=k, scores=scores))
    return [*methods, *study.methods]


def most_similar(allowed: np.ndarray, similarities: np.ndarray, k: int) -> np.ndarray:
    """Returns a mask of the k most similar candidates among those allowed, `[..., C]`.

    Raises:
        ValueError: k is less than 1.
    """
    order = ranked(np.where(allowed, similarities, -np.inf))
    return allowed & (np.argsort(order, axis=-1, kind="stable") < _checked(k))


def best_on_validation(scores: np.ndarray, validation: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Returns the test score of the candidate best on validation, `[...]`; NaN for none.

    Candidates that tie count with the mean of their test scores.

    Args:
        scores: Test scores, `[..., C]`.
        validation: Validation scores, `[..., C]`.
        among: Mask of the candidates to choose from, `[..., C]`.
    """
    rated = np.where(among, validation, -np.inf)
    best = among & (rated == rated.max(axis=-1, keepdims=True))
    return finite_mean(np.where(best, scores, np.nan), -1)


def _checked(k: int) -> int:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return k


def _expected_best(scores: np.ndarray, validation: np.ndarray, k: int) -> float:
    n = scores.size
    k = min(k, n)
    expected, above = 0.0, 0
    for rating in np.unique(validation)[::-1]:
        tied = scores[validation == rating]
        subsets = math.comb(n - above, k) - math.comb(n - above - tied.size, k)
        expected += subsets / math.comb(n, k) * float(tied.mean())
        above += tied.size
    return expected
