"""Metrics over groups of answers; each target is a `postprocessors.Grouped`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from prompt_tuning.data import metrics
from prompt_tuning.data.postprocessors import Grouped


def accuracy_by_group(targets: Sequence[Grouped], predictions: Sequence[Any]) -> dict[str, float]:
    """Computes the accuracy of each group: `accuracy_matched` and `accuracy_mismatched` (MNLI)."""
    return {
        "_".join(["accuracy", *group]): metrics.accuracy(*members)["accuracy"]
        for group, members in _by_group(targets, predictions).items()
    }


def f1a(targets: Sequence[Grouped], predictions: Sequence[int]) -> dict[str, float]:
    """Computes the F1 of class 1 over all answers of all questions, F1a (MultiRC)."""
    return {"f1a": metrics.f1([target.value for target in targets], predictions)["f1"]}


def exact_match(targets: Sequence[Grouped], predictions: Sequence[Any]) -> dict[str, float]:
    """Computes the share of groups with all answers right, exact match (MultiRC)."""
    all_right = [wanted == got for wanted, got in _by_group(targets, predictions).values()]
    return {"exact_match": 100.0 * float(np.mean(all_right))}


def _by_group(
    targets: Sequence[Grouped], predictions: Sequence[Any]
) -> dict[tuple[Any, ...], tuple[list[Any], list[Any]]]:
    """Returns the target values and the predictions of each group, in order of appearance."""
    metrics.check_lengths(targets, predictions)
    groups: dict[tuple[Any, ...], tuple[list[Any], list[Any]]] = {}
    for (group, value), prediction in zip(targets, predictions, strict=True):
        wanted, got = groups.setdefault(group, ([], []))
        wanted.append(value)
        got.append(prediction)
    return groups
