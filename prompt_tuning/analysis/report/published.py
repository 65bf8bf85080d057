"""Published scores, matched to the settings of our own results."""

import csv
import dataclasses
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from prompt_tuning.analysis.report.result_groups import Setting
from prompt_tuning.analysis.statistics import group_by

SIZES = ("small", "base", "large", "xl", "xxl")
"""Sizes of T5 1.1, LM-adapted for 100,000 steps: the frozen model of Lester et al. and SPoT."""

_FOLDER = Path(__file__).parents[1] / "published"


@dataclasses.dataclass(frozen=True)
class Published:
    """One line of a published table.

    Attributes:
        table: Name of the CSV file under `published/`.
        size: The prompted model, one of `SIZES`.
        method: The method, as in `results.json`.
        source: Source of the prompt; None matches any.
        steps: Training steps; None matches any.
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
        """Returns whether results in `setting` reproduce this line."""
        return adapted_size(setting.backbone) == self.size and self.matches_method(setting)

    def matches_method(self, setting: Setting) -> bool:
        """Returns whether `setting` reproduces this line, but for the model.

        A point of a sweep never does.
        """
        return (
            not setting.points
            and setting.method == self.method
            and self.source in (None, setting.source)
            and self.steps in (None, setting.steps)
            and setting.prefixed == self.prefixed
            and setting.split == "validation"
        )


def published_score(setting: Setting, name: str) -> float | None:
    """Returns the score published for a task or an average; None where there is none."""
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
    """Returns the lines of all published tables in the package, but Table 3 of Vu et al. 2022."""
    return (*_spot_by_source(), *_spot_by_size(), *_lester())


@dataclasses.dataclass(frozen=True)
class PublishedRetrieval:
    """Published scores of one method of retrieval (Vu et al. 2022, Table 3).

    Means over 10 targets, from 48 source prompts.

    Attributes:
        average: Score, 0-100.
        absolute: Change from prompt tuning without transfer, in points; None for that baseline.
        relative: Relative error reduction, in percent; None for the baseline.
    """

    average: float
    absolute: float | None
    relative: float | None


def published_retrieval(
    method: str, similarity: str | None, k: int | None
) -> PublishedRetrieval | None:
    """Returns the published scores of a method of `retrieval.retrievals`; None where absent.

    The paper does not say which similarity its trained methods retrieve by.
    """
    for line in _read_table("spot_table3"):
        same = line["method"] == method and line["similarity"] in ("", similarity)
        if same and (k is None or line["k"] == str(k)):
            absolute, relative = (
                float(line[name]) if line[name] else None
                for name in ("absolute_change", "relative_change")
            )
            return PublishedRetrieval(float(line["average"]), absolute, relative)
    return None


def _spot_by_source() -> Iterator[Published]:
    for line in _read_table("spot_table1"):
        yield Published(
            table="spot_table1",
            size="base",
            method=line["method"],
            source=line["source"] or None,
            steps=int(line["steps"]),
            prefixed=True,
            scores={name: float(line[name]) for name in ("glue", "super_glue")},
        )


def _spot_by_size() -> Iterator[Published]:
    for line in _read_table("spot_table4"):
        for size in SIZES:
            yield Published(
                table="spot_table4",
                size=size,
                method=line["method"],
                source=line["source"] or None,
                steps=int(line["steps"]) if line["steps"] else None,
                prefixed=True,
                scores={"super_glue": float(line[size])},
            )


def _lester() -> Iterator[Published]:
    for size, of_size in group_by(_read_table("lester_prompts"), lambda x: x["size"]).items():
        by_task = group_by(of_size, lambda line: line["task"])
        yield Published(
            table="lester_prompts",
            size=size,
            method="prompt_tuning",
            source=None,
            steps=30_000,
            prefixed=False,
            # The mean of a task's metrics.
            scores={
                task: float(np.mean([float(line["score"]) for line in lines]))
                for task, lines in by_task.items()
            },
        )


def _read_table(name: str) -> list[dict[str, str]]:
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
