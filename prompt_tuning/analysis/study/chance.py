"""Best of top-k against chance, with intervals and p values."""

import dataclasses

import numpy as np

from prompt_tuning.analysis.study.interval import CONFIDENCE, Interval, generator, mean_interval
from prompt_tuning.analysis.study.retrieval import (
    best_of_random_k,
    best_of_top_k,
    best_on_validation,
    comparable,
    eligible,
    most_similar,
)
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, Study, TransferScores
from prompt_tuning.analysis.table import Cell, Column, Line, Probability, Table

EXCHANGES = 1_000  # permutations of a test


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean over targets of means over seeds, with the interval that resamples both."""

    mean: float
    interval: Interval | None


def best_of_exchanged_k(transfer: TransferScores, similarities: np.ndarray, k: int) -> np.ndarray:
    """Returns best of top-k under random exchanges of the source tasks' similarities.

    The prompts of one source task are alike, so the k most similar prompts come from fewer tasks
    than k random ones, and the best of them is worse for that reason alone. This null keeps that
    effect: for each target, the source tasks other than its own exchange their similarities.

    Args:
        transfer: The study's scores; every source has the same number of prompts.
        similarities: Similarity of each target's embedding to each candidate's, `[T, J, C]`.
        k: Number of candidates to retrieve, at least 1.

    Returns:
        `[EXCHANGES, T, J]`: the scores at each exchange.
    """
    rng = generator()
    allowed = eligible(transfer)
    places = transfer.by_source(np.arange(len(transfer.candidates)))
    scores = np.full((EXCHANGES, *transfer.baseline.shape), np.nan)
    for target, name in enumerate(transfer.targets):
        others = np.flatnonzero(np.array(transfer.sources) != name)
        order = np.tile(np.arange(len(transfer.sources)), (EXCHANGES, 1))
        order[:, others] = rng.permuted(np.tile(others, (EXCHANGES, 1)), axis=1)
        exchanged = np.empty((EXCHANGES, *similarities.shape[1:]))
        # [J, S, I] at [EXCHANGES, S] is [J, EXCHANGES, S, I]
        blocks = similarities[target][:, places][:, order]
        exchanged[..., places] = np.moveaxis(blocks, 1, 0)
        among = most_similar(allowed[target], exchanged, k)
        scores[:, target] = best_on_validation(
            transfer.scores[target], transfer.validation[target], among
        )
    return scores


def top_minus_random(
    study: Study, similarity: str, k: int
) -> tuple[Difference | None, Difference | None]:
    """Returns best of top-k minus best of random k, in points and in the study's measure.

    Targets and seeds are paired. None where no target has candidates.
    """
    top = best_of_top_k(study.transfer, study.similarities[similarity], k)
    random = best_of_random_k(study.transfer, k)
    return _difference(top - random), _difference(study.gain(top) - study.gain(random))


def top_minus_exchanged(
    study: Study, similarity: str, k: int
) -> tuple[Difference | None, float | None]:
    """Returns best of top-k minus the mean of `best_of_exchanged_k`, in points, and its p value.

    None where no target has candidates. See `permutation_p`.
    """
    among = comparable(study.transfer)
    if not among.any():
        return None, None
    top = best_of_top_k(study.transfer, study.similarities[similarity], k)[among]
    exchanged = best_of_exchanged_k(study.transfer, study.similarities[similarity], k)[:, among]
    p = permutation_p(float(top.mean()), exchanged.mean(axis=(1, 2)))
    return _difference(top - exchanged.mean(axis=0)), p


def permutation_p(statistic: float, permuted: np.ndarray) -> float:
    """Returns the one-sided p value of a statistic, given its values under n permutations `[n]`.

    `(1 + x) / (1 + n)`, where x values are at least as great. The measured value counts as one of
    the permutations, so the p value is never 0.
    """
    # Sums taken in another order may differ in their last bits.
    as_great = int((permuted >= statistic - 1e-9).sum())
    return (1 + as_great) / (1 + permuted.size)


def top_minus_random_table(study: Study) -> Table:
    """Returns best of top-k minus chance for every similarity and k, with intervals.

    Chance is random k and, where sources have several prompts, also `best_of_exchanged_k`.
    """
    tuned = study.measure == ERROR_REDUCTION
    several = len(study.transfer.candidates) > len(study.transfer.sources)
    units = ["points", "% of error"] if tuned else ["% of own score"]
    units = [f"minus random k, {unit}" for unit in units]
    units += ["minus exchanged, points"] if several else []
    columns = [Column("similarity"), Column("k", numeric=True)]
    for unit in units:
        columns += [Column(name, numeric=True) for name in (unit, "from", "to")]
    columns += [Column("p", numeric=True)] if several else []
    lines = []
    for name in study.similarities:
        for k in study.ks:
            points, measured = top_minus_random(study, name, k)
            cells = [*_cells(points), *_cells(measured)] if tuned else _cells(measured)
            if several:
                exchanged, p = top_minus_exchanged(study, name, k)
                cells += [*_cells(exchanged), None if p is None else Probability(p)]
            lines.append(Line([name, k, *cells]))
    note = (
        f"From and to are the ends of a {CONFIDENCE:.0%} bootstrap interval, which resamples"
        " targets, and seeds within them."
    )
    if several:
        note += (
            " Exchanged: source tasks exchange their similarities at random, so that the k prompts"
            " come from as few tasks as the most similar ones; p is the share of exchanges that"
            " score at least as well."
        )
    return Table(columns, lines, "Best of top-k minus chance, mean over targets", note)


def _difference(values: np.ndarray) -> Difference | None:
    targets = [target[np.isfinite(target)] for target in values]
    means = [float(target.mean()) for target in targets if target.size]
    return Difference(float(np.mean(means)), mean_interval(values)) if means else None


def _cells(difference: Difference | None) -> list[Cell]:
    if difference is None:
        return [None, None, None]
    ends = difference.interval
    return [difference.mean, ends and ends.low, ends and ends.high]
