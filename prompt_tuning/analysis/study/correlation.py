"""Correlation of similarity with transfer gain, as a table and as scatter plots."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prompt_tuning.analysis.statistics import finite_mean
from prompt_tuning.analysis.study.interval import (
    CONFIDENCE,
    RESAMPLES,
    Interval,
    generator,
    mean_interval,
    percentile_interval,
)
from prompt_tuning.analysis.study.panels import FIRST, SECOND, Panel, label_axes
from prompt_tuning.analysis.study.scores import Study
from prompt_tuning.analysis.table import Cell, Column, Decimal, Line, Probability, Table
from prompt_tuning.transfer.similarity import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PEARSON, SPEARMAN = "pearson", "spearman"
CANDIDATES, SOURCES = "candidates", "sources"
_SYMBOLS = {PEARSON: "r", SPEARMAN: "rho"}
_FEWEST = 3  # points; any two lie on a line


@dataclasses.dataclass(frozen=True)
class Correlation:
    """A correlation over n points, or the mean of n correlations, which has no p value."""

    value: float
    p: float | None
    interval: Interval | None
    n: int


class Points(NamedTuple):
    """The points of one target's scatter plot, `[n]` each.

    `groups` has the index of each point's source task; `same_task` is true where that task is the
    target itself.
    """

    similarities: np.ndarray
    gains: np.ndarray
    groups: np.ndarray
    same_task: np.ndarray

    def where(self, chosen: np.ndarray) -> "Points":
        """Returns the points that a mask selects."""
        return Points(*(values[chosen] for values in self))


def points(study: Study, similarity: str, level: str) -> list[Points]:
    """Returns the points of every target, without transfers that were not run.

    Args:
        study: The study.
        similarity: A name of its similarities.
        level: `CANDIDATES` for a point per source prompt, averaged over the target's seeds, or
            `SOURCES` for a point per source task, averaged over pairs of seeds.
    """
    transfer = study.transfer
    sources = [candidate.source for candidate in transfer.candidates]
    groups = np.array([transfer.sources.index(source) for source in sources])
    alike, gains = study.similarities[similarity], study.gains
    if level == SOURCES:
        alike, gains = (finite_mean(transfer.by_source(x), (1, 3)) for x in (alike, gains))
        groups = np.arange(len(transfer.sources))
    else:
        alike, gains = alike.mean(axis=1), finite_mean(gains, 1)
    same = np.array(transfer.targets)[:, None] == np.array(transfer.sources)[groups]
    of_targets = [Points(a, g, groups, s) for a, g, s in zip(alike, gains, same, strict=True)]
    return [of_target.where(np.isfinite(of_target.gains)) for of_target in of_targets]


def correlation(of_target: Points, method: str) -> Correlation | None:
    """Returns the correlation of similarity with gain; None for constants or under 3 points.

    The p value is SciPy's, which assumes independent points. Prompts of one source are not
    independent, so the interval resamples sources, with all points of each.

    Args:
        of_target: The points.
        method: `PEARSON` or `SPEARMAN`.
    """
    # SciPy's statistics take half a second to import, which would delay every command.
    from scipy import stats

    x, y = of_target.similarities, of_target.gains
    if x.size < _FEWEST or _constant(x) or _constant(y):
        return None
    test = {PEARSON: stats.pearsonr, SPEARMAN: stats.spearmanr}[method](x, y)
    interval = _interval(of_target, method)
    return Correlation(float(test.statistic), float(test.pvalue), interval, x.size)


def target_correlations(
    study: Study, *, similarity: str, method: str, level: str, same_task: bool
) -> list[Correlation | None]:
    """Returns the correlation of every target, with or without prompts of the target itself."""
    of_targets = points(study, similarity, level)
    if not same_task:
        of_targets = [of_target.where(~of_target.same_task) for of_target in of_targets]
    return [correlation(of_target, method) for of_target in of_targets]


def mean_correlation(correlations: Sequence[Correlation | None]) -> Correlation | None:
    """Returns the mean over the targets that have one; its interval resamples the targets."""
    values = [correlation.value for correlation in correlations if correlation]
    if not values:
        return None
    interval = mean_interval(np.array(values)[:, None])
    return Correlation(float(np.mean(values)), None, interval, len(values))


def correlation_table(study: Study, level: str) -> Table:
    """Returns Pearson's r and Spearman's rho for each similarity and target.

    Prompts of the target itself are left out. Where a target has some, the last columns have the
    values that include them.

    Args:
        study: The study.
        level: `CANDIDATES` or `SOURCES`.
    """
    own = bool(study.transfer.same_task.any())
    columns = [Column("similarity"), Column("target"), Column("n", numeric=True)]
    for symbol in _SYMBOLS.values():
        columns += [Column(name, numeric=True) for name in (symbol, f"{symbol} p", "from", "to")]
    if own:
        columns += [Column(f"{symbol}, own too", numeric=True) for symbol in _SYMBOLS.values()]
    lines = []
    for similarity in study.similarities:
        by_method = []
        for same_task in (False, True) if own else (False,):
            for method in _SYMBOLS:
                of_targets = target_correlations(
                    study, similarity=similarity, method=method, level=level, same_task=same_task
                )
                by_method.append([*of_targets, mean_correlation(of_targets)])
        for name, *values in zip((*study.transfer.targets, "mean"), *by_method, strict=True):
            lines.append(_line(similarity, name, values))
    point = "source task" if level == SOURCES else "source prompt"
    note = (
        f"One point per {point}. From and to are the ends of a {CONFIDENCE:.0%} bootstrap"
        " interval, which resamples source tasks (for the mean, targets)."
    )
    title = f"Correlation of similarity with {study.measure}: Pearson's r, Spearman's rho"
    return Table(columns, lines, title, note)


def points_table(study: Study) -> Table:
    """Returns the points of all scatter plots."""
    columns = ("target", "similarity", "value", study.measure, "same task")
    return Table([Column(name) for name in columns], list(_point_lines(study)))


def scatter_panels(study: Study, similarity: str) -> list[Panel]:
    """Returns a scatter plot for each target that has points, with Pearson's r, p and n.

    Each point is a source prompt. Prompts of the target itself are squares, and the correlation
    leaves them out.
    """
    of_targets = zip(study.transfer.targets, points(study, similarity, CANDIDATES), strict=True)
    x, y = display_name(similarity), f"{study.measure} (%)"
    return [
        Panel(
            name=target,
            summary=_summary(correlation(of_target.where(~of_target.same_task), PEARSON)),
            label=f"scatter plot of {y} against {x}",
            draw=lambda axes, of_target=of_target: _draw(axes, of_target, x, y),
        )
        for target, of_target in of_targets
        if of_target.gains.size
    ]


def _constant(values: np.ndarray) -> bool:
    return bool(np.ptp(values) <= 1e-9 * np.abs(values).max())


def _interval(of_target: Points, method: str) -> Interval | None:
    _, groups = np.unique(of_target.groups, return_inverse=True)
    count = int(groups.max()) + 1
    if count < _FEWEST:
        return None
    drawn = generator().multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    weights = drawn[:, groups].astype(np.float64)
    x, y = of_target.similarities, of_target.gains
    if method == SPEARMAN:
        x, y = _ranks(x, weights), _ranks(y, weights)
    else:
        x, y = ((values - values.mean())[None] / values.std() for values in (x, y))
    return percentile_interval(_weighted(x, y, weights), count)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the mean ranks of values `[n]`, each repeated by its weight in `[R, n]`."""
    below = (values[:, None] < values[None, :]).astype(np.float64)
    equal = (values[:, None] == values[None, :]).astype(np.float64)
    return weights @ (below + 0.5 * equal) + 0.5


def _weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns Pearson's correlation under each weighting `[R, n]`; NaN where a side is constant."""
    weights = weights / weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True)
    y = y - (weights * y).sum(axis=1, keepdims=True)
    square_x, square_y = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    varies = (square_x > 1e-12) & (square_y > 1e-12)
    product = np.where(varies, square_x * square_y, np.nan)
    return np.clip((weights * x * y).sum(axis=1) / np.sqrt(product), -1.0, 1.0)


def _line(similarity: str, name: str, values: Sequence[Correlation | None]) -> Line:
    """Returns a line: r and rho with p values and intervals, then the values with own tasks."""
    cells: list[Cell] = []
    for value in values[: len(_SYMBOLS)]:
        ends = value.interval if value else None
        p = value.p if value else None
        cells += [_decimal(value and value.value), None if p is None else Probability(p)]
        cells += [_decimal(ends and ends.low), _decimal(ends and ends.high)]
    cells += [_decimal(value and value.value) for value in values[len(_SYMBOLS) :]]
    count = values[0].n if values[0] else None
    return Line([similarity, name, count, *cells], strong=name == "mean")


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(value, 2)


def _point_lines(study: Study) -> Iterator[Line]:
    for name in study.similarities:
        of_targets = points(study, name, CANDIDATES)
        for target, of_target in zip(study.transfer.targets, of_targets, strict=True):
            for alike, gain, _, same in zip(*of_target, strict=True):
                yield Line([target, name, float(alike), float(gain), bool(same)])


def _summary(of_others: Correlation | None) -> str:
    if of_others is None or of_others.p is None:
        return "no correlation: constant"
    p = f"p = {of_others.p:.3f}" if of_others.p >= 0.001 else "p < 0.001"
    return f"r = {of_others.value:z.2f}, {p}, n = {of_others.n}"


def _draw(axes: "Axes", of_target: Points, x: str, y: str) -> None:
    same = of_target.same_task
    for mask, color, marker in ((~same, FIRST, "o"), (same, SECOND, "s")):
        axes.plot(
            of_target.similarities[mask],
            of_target.gains[mask],
            color=color,
            marker=marker,
            markersize=4,
            linestyle="none",
            alpha=0.75,
            markeredgewidth=0,
        )
    label_axes(axes, x, y)
    axes.locator_params(nbins=6)
