"""Rows of results by the setting they were run in, and their means over seeds and tasks."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.analysis.statistics import Row, Spread, spread
from prompt_tuning.data.datasets.dataset import UNPREFIXED


@dataclasses.dataclass(frozen=True)
class Setting:
    """What the rows on one line of a table share: all but the task and the seed.

    Attributes:
        backbone: Name of the pretrained model.
        method: The row's method.
        source: Task the prompt comes from, None for none but the row's own.
        init: How the prompt began.
        steps: Steps of training.
        split: The split that is scored.
        prefixed: Whether inputs begin with T5's task prefix.
        points: Name and value of each sweep the row is a point of.
    """

    backbone: str
    method: str
    source: str | None = None
    init: str | None = None
    steps: int | None = None
    split: str | None = None
    prefixed: bool = True
    points: tuple[tuple[str, str], ...] = ()

    def described(self) -> dict[str, str]:
        """Returns what a table says of the setting, by the heading of its column."""
        return {
            "model": self.backbone or "-",
            "method": self.method,
            "source": self.source or "-",
            "init": self.init or "-",
            "steps": "-" if self.steps is None else str(self.steps),
            "split": self.split or "-",
            "inputs": "prefixed" if self.prefixed else "unprefixed",
            **dict(self.points),
        }


@dataclasses.dataclass(frozen=True)
class Run:
    """One row of results.

    Attributes:
        setting: What it shares with others on a line.
        task: Its task, without `_unprefixed`.
        metric: What its score is the mean of.
        seed: Its seed.
        score: Its score, 0-100; None where the run has none.
        file: The file it is in.
        points: Name and value of each sweep it is a point of, by the names of its directories.
        is_source: Whether others of its file start from it, and it is there for them.
    """

    setting: Setting
    task: str
    metric: str
    seed: int | None
    score: float | None
    file: Path
    points: tuple[tuple[str, str], ...]
    is_source: bool = False

    @property
    def identity(self) -> tuple[Setting, str, int | None, Path | None]:
        """What identifies the run; a source prompt is trained again in every file."""
        return self.setting, self.task, self.seed, self.file if self.is_source else None


def from_row(row: Row, points: tuple[tuple[str, str], ...], file: Path) -> Run:
    """Returns a row of results as a run."""
    task, source = row["target"], row["source"]
    # `eval` names the task of a prompt as its source, be it the target itself.
    own = row["method"] == "prompt_tuning" and source == task
    return Run(
        setting=Setting(
            backbone=row["backbone"],
            method=row["method"],
            source=None if source is None or own else source.removesuffix(UNPREFIXED),
            init=row["init"],
            steps=row["steps"],
            split=row["split"],
            prefixed=not task.endswith(UNPREFIXED),
            points=points,
        ),
        task=task.removesuffix(UNPREFIXED),
        metric=row["metric"],
        seed=row["seed"],
        score=row["score"],
        file=file,
        points=points,
    )


def whole(runs: Sequence[Run]) -> list[Run]:
    """Returns the runs without those that only a point of a sweep tells from others."""
    return [run for run in runs if not run.setting.points]


def by_setting(runs: Sequence[Run]) -> dict[Setting, list[Run]]:
    """Returns the runs of each setting, in the order in which settings come first."""
    groups: dict[Setting, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.setting, []).append(run)
    return groups


def task_score(runs: Sequence[Run], task: str) -> Spread | None:
    """Returns the score of a task over seeds, None where there is none."""
    return spread([run.score for run in runs if run.task == task and run.score is not None])


def average(runs: Sequence[Run], tasks: Sequence[str]) -> Spread | None:
    """Returns the mean over tasks, spread over the seeds that have all of them; None for no seed.

    Its standard deviation is that, over seeds, of each seed's mean over tasks.
    """
    by_seed: dict[int | None, dict[str, float]] = {}
    for run in runs:
        if run.task in tasks and run.score is not None:
            by_seed.setdefault(run.seed, {})[run.task] = run.score
    whole = [scores for scores in by_seed.values() if len(scores) == len(tasks)]
    return spread([sum(scores.values()) / len(tasks) for scores in whole])


def differing(
    settings: Sequence[Setting], always: Sequence[str] = ("method",)
) -> tuple[list[str], str]:
    """Returns the headings of what differs between settings, and a sentence on what they share.

    Args:
        settings: The settings of a table's lines.
        always: Headings that stand there whether or not their values differ.
    """
    described = [setting.described() for setting in settings]
    values = {
        name: {of_setting.get(name, "-") for of_setting in described}
        for name in itertools.chain(*described)
    }
    shared = [
        f"{name} {value}"
        for name, distinct in values.items()
        for value in distinct
        if name not in always and len(distinct) == 1 and value != "-"
    ]
    headings = [name for name, distinct in values.items() if name in always or len(distinct) > 1]
    return headings, f"All lines: {', '.join(shared)}." if shared else ""
