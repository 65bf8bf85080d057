"""Whether similarity predicts transfer: its correlation with the gain, for each target."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.analysis.interval import (
    RESAMPLES,
    Interval,
    generator,
    mean_interval,
    percentile_interval,
)
from prompt_tuning.analysis.statistics import finite_mean
from prompt_tuning.analysis.study import Study

PEARSON, SPEARMAN = "pearson", "spearman"
CANDIDATES, SOURCES = "candidates", "sources"
_FEWEST = 3  # points; any two lie on a line


@dataclasses.dataclass(frozen=True)
class Correlation:
    """A correlation over n points, with its p value and bootstrap interval."""

    value: float
    p: float
    interval: Interval | None
    n: int


@dataclasses.dataclass(frozen=True)
class MeanCorrelation:
    """The mean correlation of n targets; the interval resamples the targets."""

    value: float
    interval: Interval | None
    n: int


class Points(NamedTuple):
    """The points of one target: what a scatter plot shows, `[n]` each.

    `groups` numbers the source task of each point; `same_task` says where that is the target.
    """

    similarities: np.ndarray
    gains: np.ndarray
    groups: np.ndarray
    same_task: np.ndarray

    def where(self, chosen: np.ndarray) -> "Points":
        """Returns some of the points."""
        return Points(*(values[chosen] for values in self))


def points(study: Study, similarity: str, level: str) -> list[Points]:
    """Returns the points of every target; those whose transfer was not run are left out.

    Args:
        study: The study.
        similarity: A name of its similarities.
        level: `CANDIDATES` for a point for each source prompt, averaged over the target's seeds,
            or `SOURCES` for one for each source task, averaged over pairs of seeds.
    """
    transfer = study.transfer
    sources = [candidate.source for candidate in transfer.candidates]
    groups = np.array([transfer.sources.index(source) for source in sources])
    alike, gains = study.similarities[similarity], study.gains
    if level == SOURCES:
        alike, gains = (finite_mean(transfer.by_source(each), (1, 3)) for each in (alike, gains))
        groups = np.arange(len(transfer.sources))
    else:
        alike, gains = alike.mean(axis=1), finite_mean(gains, 1)
    same = np.array(transfer.targets)[:, None] == np.array(transfer.sources)[groups]
    every = [Points(a, g, groups, s) for a, g, s in zip(alike, gains, same, strict=True)]
    return [each.where(np.isfinite(each.gains)) for each in every]


def correlation(given: Points, method: str) -> Correlation | None:
    """Returns the correlation of similarity with gain, None for constants or under 3 points.

    The p value is SciPy's, of no correlation among independent points. Prompts of one source are
    not independent, so the interval resamples sources, with all points of each.

    Args:
        given: The points.
        method: `PEARSON` or `SPEARMAN`.
    """
    # SciPy's statistics take half a second to import, which every command would wait for.
    from scipy import stats

    x, y = given.similarities, given.gains
    if x.size < _FEWEST or _constant(x) or _constant(y):
        return None
    test = {PEARSON: stats.pearsonr, SPEARMAN: stats.spearmanr}[method]
    found = test(x, y)
    return Correlation(
        float(found.statistic), float(found.pvalue), _interval(given, method), x.size
    )


def target_correlations(
    study: Study, *, similarity: str, method: str, level: str, same_task: bool
) -> list[Correlation | None]:
    """Returns the correlation of every target, with or without the pair of the target itself."""
    every = points(study, similarity, level)
    kept = every if same_task else [each.where(~each.same_task) for each in every]
    return [correlation(each, method) for each in kept]


def mean_correlation(found: Sequence[Correlation | None]) -> MeanCorrelation | None:
    """Returns the mean over the targets that have a correlation."""
    values = [each.value for each in found if each]
    if not values:
        return None
    interval = mean_interval(np.array(values)[:, None])
    return MeanCorrelation(float(np.mean(values)), interval, len(values))


def _constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def _interval(given: Points, method: str) -> Interval | None:
    _, groups = np.unique(given.groups, return_inverse=True)
    count = int(groups.max()) + 1
    if count < _FEWEST:
        return None
    drawn = generator().multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    weights = drawn[:, groups].astype(np.float64)
    x, y = given.similarities, given.gains
    if method == SPEARMAN:
        x, y = _ranks(x, weights), _ranks(y, weights)
    else:
        x, y = ((each - each.mean())[None] / each.std() for each in (x, y))
    return percentile_interval(_weighted(x, y, weights), count)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the mean ranks of values `[n]` that are there as often as weights `[R, n]` say."""
    below = (values[:, None] < values[None, :]).astype(np.float64)
    equal = (values[:, None] == values[None, :]).astype(np.float64)
    return weights @ (below + 0.5 * equal) + 0.5


def _weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns Pearson's correlation under each weighting `[R, n]`; NaN where a side is constant."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True)
    y = y - (weights * y).sum(axis=1, keepdims=True)
    square_x, square_y = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    there = (square_x > 1e-12) & (square_y > 1e-12)
    product = np.where(there, square_x * square_y, np.nan)
    return np.clip((weights * x * y).sum(axis=1) / np.sqrt(product), -1.0, 1.0)
