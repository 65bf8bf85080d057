"""Means over seeds, paired differences, and scores part of the way through training."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]
"""One training run: the columns of `results.COLUMNS`."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """How a row began: its method and its initialization."""

    method: str
    init: str

    def matches(self, row: Row) -> bool:
        """Returns whether `row` began this way."""
        return (row["method"], row["init"]) == (self.method, self.init)


CLASS_LABELS = Condition("prompt_tuning", "class_labels")
SAMPLED_VOCABULARY = Condition("prompt_tuning", "sampled_vocab")
SPOT = Condition("spot", "file")


@dataclasses.dataclass(frozen=True)
class Spread:
    """The mean of n numbers with their sample standard deviation (None when n = 1)."""

    mean: float
    std: float | None
    n: int


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """The mean of n paired differences with its standard error (None when n = 1)."""

    mean: float
    standard_error: float | None
    n: int


def spread(values: Sequence[float]) -> Spread | None:
    """Returns mean and sample standard deviation, None for no values."""
    if not values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), std, len(values))


def mean_difference(differences: Sequence[float]) -> PairedDifference | None:
    """Returns the mean of paired differences with its standard error, None for no pairs.

    That is s / sqrt(n), with s the sample standard deviation of the n differences.
    """
    pairs = spread(differences)
    if pairs is None:
        return None
    error = None if pairs.std is None else pairs.std / pairs.n**0.5
    return PairedDifference(pairs.mean, error, pairs.n)


def finite_mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Returns the mean along axes over what is finite, NaN where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_curve(curves: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """Returns the mean score by step, at the steps that all curves have; empty without curves."""
    curves = list(curves)
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    return {step: float(np.mean([curve[step] for curve in curves])) for step in steps}


def summarize(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Returns mean, std and n of the score over the rows that differ in their seed alone."""
    columns = ("method", "init", "source", "target", "metric", "split")
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        if row["score"] is not None:
            groups.setdefault(tuple(row[c] for c in columns), []).append(row["score"])
    summary = []
    for group, scores in groups.items():
        of_group = spread(scores)
        assert of_group is not None
        summary.append(dict(zip(columns, group, strict=True)) | dataclasses.asdict(of_group))
    return summary


def target_rows(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows on the targets of transfer: without those that tuned the source prompts.

    A row belongs when a transferred row has the same target and number of steps.
    """
    targets = {(row["target"], row["steps"]) for row in rows if row["method"] == "spot"}
    return [row for row in rows if (row["target"], row["steps"]) in targets]


def paired_difference(rows: Sequence[Row], a: Condition, b: Condition) -> PairedDifference | None:
    """Returns the mean of score(a) - score(b) over pairs of the same target and seed.

    Returns None where there is no pair.

    Raises:
        ValueError: when `b` has several rows for one target and seed.
    """
    baseline: dict[tuple[str, int], float] = {}
    for row in filter(b.matches, rows):
        pair = (row["target"], row["seed"])
        if pair in baseline:
            raise ValueError(f"two rows of {b} for target and seed {pair}")
        if row["score"] is not None:
            baseline[pair] = row["score"]
    differences = [
        row["score"] - baseline[row["target"], row["seed"]]
        for row in filter(a.matches, rows)
        if row["score"] is not None and (row["target"], row["seed"]) in baseline
    ]
    return mean_difference(differences)


def at_fraction(rows: Sequence[Row], fraction: float) -> list[Row]:
    """Returns the rows with the validation score at a fraction of their steps as their score.

    That is the last point of the curve at or before `fraction * steps`; None where there is none.
    """
    return [{**row, "score": _score_at(row, fraction * (row["steps"] or 0))} for row in rows]


def _score_at(row: Row, step: float) -> float | None:
    reached = [score for at, score in row["curve"] or [] if at <= step]
    return reached[-1] if reached else None
