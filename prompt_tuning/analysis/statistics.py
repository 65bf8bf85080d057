"""Means over seeds, paired differences, and scores part of the way through training."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

Record = Mapping[str, Any]
"""The result of one row: an entry of `results.json`, with the fields of `results.FIELDS`."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """How a row started: its method and its initialization."""

    method: str
    init: str

    def matches(self, record: Record) -> bool:
        """Returns whether the record's row started this way."""
        return (record["method"], record["init"]) == (self.method, self.init)


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

    def text(self, digits: int) -> str:
        """Returns `+1.2 ± 0.3`, or `+1.2` where there is no standard error."""
        error = self.standard_error
        return f"{self.mean:+.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def group_by(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Returns the items of each key; keys are in order of first appearance."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def spread(values: Sequence[float]) -> Spread | None:
    """Returns mean and sample standard deviation; None for no values."""
    if not values:
        return None
    std = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), std, len(values))


def mean_difference(differences: Sequence[float]) -> PairedDifference | None:
    """Returns the mean of paired differences with its standard error; None for no pairs.

    The standard error is s / sqrt(n), where s is the sample standard deviation of n differences.
    """
    pairs = spread(differences)
    if pairs is None:
        return None
    error = None if pairs.std is None else pairs.std / pairs.n**0.5
    return PairedDifference(pairs.mean, error, pairs.n)


def finite_mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """Returns the mean of the finite values along the axes; NaN where there are none."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_curve(curves: Iterable[Mapping[int, float]]) -> dict[int, float]:
    """Returns the mean score by step, at the steps that all curves share; empty without curves."""
    curves = list(curves)
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    return {step: float(np.mean([curve[step] for curve in curves])) for step in steps}


def summarize(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Returns mean, std and n of the scores of records that differ only in their seed."""
    fields = ("method", "init", "source", "target", "metric", "split")
    scored = [record for record in records if record["score"] is not None]
    groups = group_by(scored, lambda record: tuple(record[field] for field in fields))
    summary = []
    for values, group in groups.items():
        scores = spread([record["score"] for record in group])
        assert scores is not None
        summary.append(dict(zip(fields, values, strict=True)) | dataclasses.asdict(scores))
    return summary


def target_records(records: Sequence[Record]) -> list[Record]:
    """Returns the records on transfer targets, without those of the source prompts.

    A record counts when a SPoT record has the same target and number of steps.
    """
    targets = {(r["target"], r["steps"]) for r in records if r["method"] == "spot"}
    return [record for record in records if (record["target"], record["steps"]) in targets]


def paired_difference(
    records: Sequence[Record], a: Condition, b: Condition
) -> PairedDifference | None:
    """Returns the mean of score(a) - score(b) over pairs of the same target and seed.

    Returns None where there is no pair.

    Raises:
        ValueError: `b` has several records for one target and seed.
    """
    baseline: dict[tuple[str, int], float] = {}
    for record in filter(b.matches, records):
        pair = (record["target"], record["seed"])
        if pair in baseline:
            raise ValueError(f"two records of {b} for target and seed {pair}")
        if record["score"] is not None:
            baseline[pair] = record["score"]
    differences = [
        record["score"] - baseline[record["target"], record["seed"]]
        for record in filter(a.matches, records)
        if record["score"] is not None and (record["target"], record["seed"]) in baseline
    ]
    return mean_difference(differences)


def at_fraction(records: Sequence[Record], fraction: float) -> list[Record]:
    """Returns the records, each scored by validation at a fraction of its steps.

    The score is that of the last point of the curve at or before `fraction * steps`; None where
    there is no such point.
    """
    return [{**r, "score": _score_at(r, fraction * (r["steps"] or 0))} for r in records]


def _score_at(record: Record, step: float) -> float | None:
    reached = [score for at, score in record["curve"] or [] if at <= step]
    return reached[-1] if reached else None
