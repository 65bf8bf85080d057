"""What the papers publish, matched to settings of our own runs."""

import csv
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from prompt_tuning.analysis.report.result_groups import Setting
from prompt_tuning.analysis.statistics import Spread

SIZES = ("small", "base", "large", "xl", "xxl")
"""Sizes of T5 1.1, LM-adapted for 100,000 steps: the frozen model of Lester et al. and SPoT."""

_FOLDER = Path(__file__).parents[1] / "published"


@dataclasses.dataclass(frozen=True)
class Published:
    """One line of a published table.

    Attributes:
        table: The file under `published/`.
        size: Which of `SIZES` is prompted.
        method: As in `results.json`.
        source: The source of the prompt; None does not matter.
        steps: Steps of training; None does not matter.
        prefixed: Whether inputs begin with T5's task prefix.
        scores: By task, or `glue` and `super_glue` for averages.
    """

    table: str
    size: str
    method: str
    source: str | None
    steps: int | None
    prefixed: bool
    scores: Mapping[str, float]

    def matches(self, setting: Setting) -> bool:
        """Returns whether runs of `setting` repeat this line."""
        return adapted_size(setting.backbone) == self.size and self.matches_method(setting)

    def matches_method(self, setting: Setting) -> bool:
        """Returns whether runs of `setting` repeat it on any model; points of a sweep never do."""
        return (
            not setting.points
            and setting.method == self.method
            and self.source in (None, setting.source)
            and self.steps in (None, setting.steps)
            and setting.prefixed == self.prefixed
            and setting.split == "validation"
        )


def published_score(setting: Setting, name: str) -> float | None:
    """Returns the score published for a task or an average, None where there is none."""
    for line in published():
        if name in line.scores and line.matches(setting):
            return line.scores[name]
    return None


def adapted_size(backbone: str) -> str | None:
    """Returns the size of a T5 1.1 LM-adapted for 100,000 steps, by its name; None for others.

    `t5_1_1_lm100k_base` and `google/t5-base-lm-adapt` are both `base`.
    """
    words = "".join(c if c.isalnum() else " " for c in backbone.lower()).split()
    adapted = "lm100k" in words or "lm adapt" in " ".join(words)
    sizes = [word for word in words if word in SIZES]
    return sizes[0] if adapted and len(sizes) == 1 else None


@functools.cache
def published() -> tuple[Published, ...]:
    """Returns every published line that is carried here."""
    return (*_spot_by_source(), *_spot_by_size(), *_lester())


@dataclasses.dataclass(frozen=True)
class PublishedRetrieval:
    """What a way to use 48 source prompts gives on 10 targets (Vu et al. 2022, Table 3).

    Attributes:
        average: The mean score over targets.
        absolute: Its change from prompt tuning without transfer; None for that itself.
        relative: The relative error reduction in percent; None likewise.
    """

    average: Spread
    absolute: Spread | None
    relative: Spread | None


def published_retrieval(
    method: str, similarity: str | None, k: int | None
) -> PublishedRetrieval | None:
    """Returns the published line of a method of `retrieval.retrievals`, None where there is none.

    The paper does not say which similarity its methods with training of their own retrieve by.
    """
    for row in _rows("spot_table3"):
        same = row["method"] == method and row["similarity"] in ("", similarity)
        if same and (k is None or row["k"] == str(k)):
            average, absolute, relative = (
                Spread(float(row[name]), float(row[f"{short}_std"]), 3) if row[name] else None
                for name, short in (
                    ("average", "average"),
                    ("absolute_change", "absolute"),
                    ("relative_change", "relative"),
                )
            )
            assert average
            return PublishedRetrieval(average, absolute, relative)
    return None


def _spot_by_source() -> Iterator[Published]:
    for row in _rows("spot_table1"):
        yield Published(
            table="spot_table1",
            size="base",
            method=row["method"],
            source=row["source"] or None,
            steps=int(row["steps"]),
            prefixed=True,
            scores={name: float(row[name]) for name in ("glue", "super_glue")},
        )


def _spot_by_size() -> Iterator[Published]:
    for row in _rows("spot_table4"):
        for size in SIZES:
            yield Published(
                table="spot_table4",
                size=size,
                method=row["method"],
                source=row["source"] or None,
                steps=int(row["steps"]) if row["steps"] else None,
                prefixed=True,
                scores={"super_glue": float(row[size])},
            )


def _lester() -> Iterator[Published]:
    rows = _rows("lester_prompts")
    for size in dict.fromkeys(row["size"] for row in rows):
        metrics: dict[str, list[float]] = {}
        for row in rows:
            if row["size"] == size:
                metrics.setdefault(row["task"], []).append(float(row["score"]))
        yield Published(
            table="lester_prompts",
            size=size,
            method="prompt_tuning",
            source=None,
            steps=30_000,
            prefixed=False,
            scores={task: float(np.mean(values)) for task, values in metrics.items()},
        )


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
