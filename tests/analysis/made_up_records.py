"""Records of results, written by hand."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prompt_tuning.analysis.report.result_groups import Result, result_of

BASE = "t5_1_1_lm100k_base"


def record(target: str, score: float | None, **changes: Any) -> dict[str, Any]:
    """Returns a record of vanilla prompt tuning on T5 1.1 LM-adapted base, with changes."""
    return {
        "backbone": BASE,
        "method": "prompt_tuning",
        "init": "class_labels",
        "source": None,
        "target": target,
        "seed": 0,
        "metric": "accuracy",
        "split": "validation",
        "score": score,
        "step": 100,
        "steps": 30_000,
        "curve": None,
        "seconds": None,
        **changes,
    }


def records(scores: Mapping[str, Iterable[float]], **changes: Any) -> list[dict[str, Any]]:
    """Returns a record for each task and seed; scores are by task, in the order of seeds."""
    return [
        record(task, score, seed=seed, **changes)
        for task, values in scores.items()
        for seed, score in enumerate(values)
    ]


def results_of(found: Iterable[Mapping[str, Any]], **points: str) -> list[Result]:
    """Returns results, which are a point of the sweeps `points`."""
    folder = Path(*(f"{name}={value}" for name, value in points.items()))
    return [result_of(each, tuple(points.items()), folder / "results.json") for each in found]
