"""What retrieved source prompts give: best of top-k, best of random k, and the oracle.

Of several candidates the best is chosen by its validation score, and counts with its test score;
candidates that tie on validation count with the mean of their test scores. A candidate is left out
where its transfer was not run, and where it is a prompt of the target itself.
"""

import dataclasses
import math

import numpy as np

from prompt_tuning.analysis.interval import Interval, generator, mean_interval
from prompt_tuning.analysis.study import MethodScores, Study
from prompt_tuning.analysis.transfer_scores import TransferScores

BASELINE = "prompt_tuning"
ORACLE = "oracle"
TOP_K = "best_of_top_k"
RANDOM_K = "best_of_random_k"
EXCHANGES = 1_000


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean over targets of means over seeds, and the interval that resamples both."""

    mean: float
    interval: Interval | None


def eligible(transfer: TransferScores) -> np.ndarray:
    """Returns which candidates may be retrieved for which target and seed, `[T, J, C]`."""
    run = np.isfinite(transfer.scores) & np.isfinite(transfer.validation)
    return run & ~transfer.same_task[:, None, :]


def comparable(transfer: TransferScores) -> np.ndarray:
    """Returns which targets have an own score and a candidate with every seed, `[T]`."""
    candidates = eligible(transfer).any(axis=-1)
    return np.all(np.isfinite(transfer.baseline) & candidates, axis=-1)


def best_of_top_k(transfer: TransferScores, similarities: np.ndarray, k: int) -> np.ndarray:
    """Returns the test score of the best of the k most similar candidates, `[T, J]`.

    Of equally similar candidates the first are taken; all of them where there are no more than k.
    NaN where there is no candidate.

    Args:
        transfer: The study's scores.
        similarities: Of each target's embedding to each candidate's, `[T, J, C]`.
        k: How many, at least 1.
    """
    allowed = eligible(transfer)
    among = _most_similar(allowed, similarities, _checked(k))
    return _best(transfer.scores, transfer.validation, among)


def best_of_random_k(transfer: TransferScores, k: int) -> np.ndarray:
    """Returns the expected test score of the best of k candidates drawn at random, `[T, J]`.

    That is the mean over all subsets of k of the n candidates. With the candidates sorted by
    validation, h of them above a group of g that tie, the best of a subset is in that group with
    probability `(C(n - h, k) - C(n - h - g, k)) / C(n, k)`, and by symmetry counts with the mean
    of the group. All candidates are drawn where there are no more than k.
    """
    allowed = eligible(transfer)
    expected = np.full(allowed.shape[:-1], np.nan)
    for place in np.ndindex(expected.shape):
        chosen = allowed[place]
        if chosen.any():
            values = transfer.scores[place][chosen], transfer.validation[place][chosen]
            expected[place] = _expected_best(*values, _checked(k))
    return expected


def best_of_exchanged_k(transfer: TransferScores, similarities: np.ndarray, k: int) -> np.ndarray:
    """Returns what best of top-k would score where similarity knew nothing of the source tasks.

    The prompts of a source task are alike, so that the k most similar ones are of fewer tasks than
    k at random, and the best of them is worse for that alone. Here each target's source tasks,
    other than its own, exchange their similarities, prompt by prompt.

    Args:
        transfer: The study's scores; every source has as many prompts.
        similarities: Of each target's embedding to each candidate's, `[T, J, C]`.
        k: How many, at least 1.

    Returns:
        `[EXCHANGES, T, J]`: the scores at each exchange.
    """
    rng = generator()
    allowed = eligible(transfer)
    places = transfer.by_source(np.arange(len(transfer.candidates)))
    found = np.full((EXCHANGES, *transfer.baseline.shape), np.nan)
    for target, name in enumerate(transfer.targets):
        others = np.flatnonzero(np.array(transfer.sources) != name)
        order = np.tile(np.arange(len(transfer.sources)), (EXCHANGES, 1))
        order[:, others] = rng.permuted(np.tile(others, (EXCHANGES, 1)), axis=1)
        exchanged = np.empty((EXCHANGES, *similarities.shape[1:]))
        # [J, S, I] at [EXCHANGES, S] is [J, EXCHANGES, S, I]
        blocks = similarities[target][:, places][:, order]
        exchanged[..., places] = np.moveaxis(blocks, 1, 0)
        among = _most_similar(allowed[target], exchanged, _checked(k))
        found[:, target] = _best(transfer.scores[target], transfer.validation[target], among)
    return found


def oracle(transfer: TransferScores) -> np.ndarray:
    """Returns the test score of the best of all candidates, `[T, J]`."""
    return _best(transfer.scores, transfer.validation, eligible(transfer))


def search_space_cut(transfer: TransferScores, k: int) -> float | None:
    """Returns the share of transfers that top-k leaves out, `1 - k / C`, mean over targets."""
    counts = eligible(transfer).sum(axis=-1)
    counts = counts[counts > 0]
    return float(np.mean(1.0 - np.minimum(k, counts) / counts)) if counts.size else None


def top_minus_random(
    study: Study, similarity: str, k: int
) -> tuple[Difference | None, Difference | None]:
    """Returns best of top-k less best of random k: in points of score, and in the study's measure.

    Targets and seeds are paired. None where no target has candidates.
    """
    top = best_of_top_k(study.transfer, study.similarities[similarity], k)
    random = best_of_random_k(study.transfer, k)
    return _difference(top - random), _difference(study.gain(top) - study.gain(random))


def top_minus_exchanged(
    study: Study, similarity: str, k: int
) -> tuple[Difference | None, float | None]:
    """Returns best of top-k less that of `best_of_exchanged_k`, in points, and a p value.

    The p value is the share of exchanges whose mean over targets is at least that of the study: of
    similarities that know nothing of the source tasks. None where no target has candidates.
    """
    kept = comparable(study.transfer)
    if not kept.any():
        return None, None
    top = best_of_top_k(study.transfer, study.similarities[similarity], k)[kept]
    exchanged = best_of_exchanged_k(study.transfer, study.similarities[similarity], k)[:, kept]
    means = exchanged.mean(axis=(1, 2))
    # The study itself is one of the exchanges; a sum in another order is no difference.
    p = (1 + int((means >= top.mean() - 1e-9).sum())) / (1 + EXCHANGES)
    return _difference(top - exchanged.mean(axis=0)), p


def retrievals(study: Study) -> list[MethodScores]:
    """Returns the scores of every way to use the source prompts, that of using none first.

    The order is that of the paper's table: baseline, oracle, best of top-k for each similarity and
    k, best of random k, and the methods with training of their own.
    """
    transfer = study.transfer
    found = [
        MethodScores(method=BASELINE, similarity=None, k=None, scores=transfer.baseline),
        MethodScores(method=ORACLE, similarity=None, k=None, scores=oracle(transfer)),
    ]
    for name, values in study.similarities.items():
        for k in study.ks:
            scores = best_of_top_k(transfer, values, k)
            found.append(MethodScores(method=TOP_K, similarity=name, k=k, scores=scores))
    for k in study.ks:
        scores = best_of_random_k(transfer, k)
        found.append(MethodScores(method=RANDOM_K, similarity=None, k=k, scores=scores))
    return [*found, *study.methods]


def _checked(k: int) -> int:
    if k < 1:
        raise ValueError(f"k is {k}, and must be 1 or more")
    return k


def _most_similar(allowed: np.ndarray, similarities: np.ndarray, k: int) -> np.ndarray:
    """Returns which candidates are the k most similar of those allowed, `[..., C]`."""
    order = np.argsort(np.where(allowed, -similarities, np.inf), axis=-1, kind="stable")
    return allowed & (np.argsort(order, axis=-1, kind="stable") < k)


def _best(scores: np.ndarray, validation: np.ndarray, among: np.ndarray) -> np.ndarray:
    rated = np.where(among, validation, -np.inf)
    best = among & (rated == rated.max(axis=-1, keepdims=True))
    count = best.sum(axis=-1)
    total = np.where(best, scores, 0.0).sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


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


def _difference(values: np.ndarray) -> Difference | None:
    means = [float(row[np.isfinite(row)].mean()) for row in values if np.isfinite(row).any()]
    return Difference(float(np.mean(means)), mean_interval(values)) if means else None
