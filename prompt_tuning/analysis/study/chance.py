"""What similarity adds: best of top-k minus what chance gives, with intervals and p values."""

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

EXCHANGES = 1_000


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean over targets of means over seeds, and the interval that resamples both."""

    mean: float
    interval: Interval | None


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
    """Returns best of top-k minus best of random k: in points of score, and in the study's measure.

    Targets and seeds are paired. None where no target has candidates.
    """
    top = best_of_top_k(study.transfer, study.similarities[similarity], k)
    random = best_of_random_k(study.transfer, k)
    return _difference(top - random), _difference(study.gain(top) - study.gain(random))


def top_minus_exchanged(
    study: Study, similarity: str, k: int
) -> tuple[Difference | None, float | None]:
    """Returns best of top-k minus that of `best_of_exchanged_k`, in points, and a p value.

    The p value is that of `permutation_p`: of similarities that know nothing of the source tasks.
    None where no target has candidates.
    """
    among = comparable(study.transfer)
    if not among.any():
        return None, None
    top = best_of_top_k(study.transfer, study.similarities[similarity], k)[among]
    exchanged = best_of_exchanged_k(study.transfer, study.similarities[similarity], k)[:, among]
    p = permutation_p(float(top.mean()), exchanged.mean(axis=(1, 2)))
    return _difference(top - exchanged.mean(axis=0)), p


def permutation_p(statistic: float, permuted: np.ndarray) -> float:
    """Returns the p value of a statistic by its values under n permutations, `[n]`.

    That is `(1 + x) / (1 + n)`, where x of them are at least as great: what was measured is itself
    one of the permutations, so that the p value is never 0.
    """
    # A sum in another order is no difference.
    as_great = int((permuted >= statistic - 1e-9).sum())
    return (1 + as_great) / (1 + permuted.size)


def top_minus_random_table(study: Study) -> Table:
    """Returns what similarity adds: best of top-k minus what chance gives, with intervals.

    Chance is random k and, where sources have several prompts, also sources that exchange their
    similarities; see `best_of_exchanged_k`.
    """
    tuned = study.measure == ERROR_REDUCTION
    several = len(study.transfer.candidates) > len(study.transfer.sources)
    units = ["minus random k, points", "minus random k, % of error"]
    if not tuned:
        units = ["minus random k, % of own score"]
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
            " Exchanged: where source tasks exchange their similarities, so that the k are of as"
            " few tasks as the most similar ones are; p is the share of exchanges that do as well."
        )
    return Table(columns, lines, "Best of top-k beside chance, mean over targets", note)


def _difference(values: np.ndarray) -> Difference | None:
    means = [float(row[np.isfinite(row)].mean()) for row in values if np.isfinite(row).any()]
    return Difference(float(np.mean(means)), mean_interval(values)) if means else None


def _cells(difference: Difference | None) -> list[Cell]:
    if difference is None:
        return [None, None, None]
    ends = difference.interval
    return [difference.mean, ends and ends.low, ends and ends.high]
