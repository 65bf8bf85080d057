"""The table of correlations between similarity and gain, by target."""

from collections.abc import Sequence

from prompt_tuning.analysis.correlation import (
    PEARSON,
    SOURCES,
    SPEARMAN,
    Correlation,
    MeanCorrelation,
    mean_correlation,
    target_correlations,
)
from prompt_tuning.analysis.interval import CONFIDENCE
from prompt_tuning.analysis.study import Study
from prompt_tuning.analysis.table import Cell, Column, Decimal, Line, Probability, Table

_METHODS = {PEARSON: "r", SPEARMAN: "rho"}
_Found = Sequence[Correlation | MeanCorrelation | None]


def correlation_table(study: Study, level: str) -> Table:
    """Returns, for each similarity and target, Pearson's r and Spearman's rho.

    The target's own task is left out; where there is one, the value with it stands at the end.

    Args:
        study: The study.
        level: `correlation.CANDIDATES` or `correlation.SOURCES`.
    """
    own = bool(study.transfer.same_task.any())
    columns = [Column("similarity"), Column("target"), Column("n", numeric=True)]
    for name in _METHODS.values():
        columns += [Column(each, numeric=True) for each in (name, f"{name} p", "from", "to")]
    if own:
        columns += [Column(f"{name}, own too", numeric=True) for name in _METHODS.values()]
    lines = []
    for similarity in study.similarities:
        found = [_column(study, similarity, method, level, False) for method in _METHODS]
        if own:
            found += [_column(study, similarity, method, level, True) for method in _METHODS]
        for name, *values in zip((*study.transfer.targets, "mean"), *found, strict=True):
            lines.append(_line(similarity, name, values))
    each = "source task" if level == SOURCES else "source prompt"
    note = (
        f"A point for each {each}. From and to are the ends of a {CONFIDENCE:.0%} bootstrap"
        " interval, which resamples source tasks; that of the mean resamples targets."
    )
    title = f"Correlation of similarity with {study.measure}: Pearson's r, Spearman's rho"
    return Table(columns, lines, title, note)


def _column(study: Study, similarity: str, method: str, level: str, same_task: bool) -> _Found:
    found = target_correlations(
        study, similarity=similarity, method=method, level=level, same_task=same_task
    )
    return [*found, mean_correlation(found)]


def _line(similarity: str, name: str, values: _Found) -> Line:
    """Returns a line: r and rho with all that belongs to them, then the values with own tasks."""
    cells: list[Cell] = []
    for each in values[: len(_METHODS)]:
        ends = each.interval if each else None
        p = each.p if isinstance(each, Correlation) else None
        cells += [_decimal(each and each.value), None if p is None else Probability(p)]
        cells += [_decimal(ends and ends.low), _decimal(ends and ends.high)]
    cells += [_decimal(each and each.value) for each in values[len(_METHODS) :]]
    count = values[0].n if values[0] else None
    return Line([similarity, name, count, *cells], strong=name == "mean")


def _decimal(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(value, 2)
