"""Results and the settings they were obtained in, with means over seeds and tasks."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.analysis.statistics import Record, Spread, group_by, spread
from prompt_tuning.data.datasets.dataset import UNPREFIXED


@dataclasses.dataclass(frozen=True)
class Setting:
    """Everything the results on one line of a table share: all but the task and the seed.

    Attributes:
        backbone: Name of the pretrained model.
        method: The method, as in `results.json`.
        source: Task the prompt comes from; None where it was tuned on the scored task itself.
        init: Initialization of the prompt.
        steps: Training steps.
        split: The scored split.
        prefixed: Whether inputs begin with T5's task prefix.
        points: Name and value of each sweep point the setting belongs to.
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
        """Returns the table cells that describe the setting, by column heading."""
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
class Result:
    """The score of one row, in its setting.

    Attributes:
        setting: The setting it shares with other results.
        task: The scored task, without `_unprefixed`.
        metric: Metrics that the score is the mean of.
        seed: The row's seed.
        score: The score, 0-100; None where the row has none.
        file: The results file it was read from.
        points: Name and value of each sweep point, from the names of the file's directories.
        is_source: Whether the row only tuned a source prompt for other rows of its file.
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
        """What two results must not share; source prompts are tuned anew in every file."""
        return self.setting, self.task, self.seed, self.file if self.is_source else None


def result_of(record: Record, points: tuple[tuple[str, str], ...], file: Path) -> Result:
    """Returns a record of a results file as a result."""
    task, source = record["target"], record["source"]
    # `eval` names the task of a prompt as its source, even if it is the target itself.
    own = record["method"] == "prompt_tuning" and source == task
    return Result(
        setting=Setting(
            backbone=record["backbone"],
            method=record["method"],
            source=None if source is None or own else source.removesuffix(UNPREFIXED),
            init=record["init"],
            steps=record["steps"],
            split=record["split"],
            prefixed=not task.endswith(UNPREFIXED),
            points=points,
        ),
        task=task.removesuffix(UNPREFIXED),
        metric=record["metric"],
        seed=record["seed"],
        score=record["score"],
        file=file,
        points=points,
    )


def without_sweeps(results: Sequence[Result]) -> list[Result]:
    """Returns the results whose settings are told apart without the points of a sweep."""
    return [result for result in results if not result.setting.points]


def by_setting(results: Sequence[Result]) -> dict[Setting, list[Result]]:
    """Returns the results of each setting, in order of first appearance."""
    return group_by(results, lambda result: result.setting)


def task_score(results: Sequence[Result], task: str) -> Spread | None:
    """Returns the score of a task over seeds; None where there is none."""
    return spread([r.score for r in results if r.task == task and r.score is not None])


def average(results: Sequence[Result], tasks: Sequence[str]) -> Spread | None:
    """Returns the spread, over seeds, of the mean over tasks; None without a complete seed.

    Only seeds with a score for every task count.
    """
    scored = [r for r in results if r.task in tasks and r.score is not None]
    means = []
    for of_seed in group_by(scored, lambda result: result.seed).values():
        scores = {result.task: result.score or 0.0 for result in of_seed}
        if len(scores) == len(tasks):
            means.append(sum(scores.values()) / len(tasks))
    return spread(means)


def differing(
    settings: Sequence[Setting], always: Sequence[str] = ("method",)
) -> tuple[list[str], str]:
    """Returns the headings that differ between settings, and a sentence on what they share.

    Args:
        settings: The settings of a table's lines.
        always: Headings to return whether or not their values differ.
    """
    described = [setting.described() for setting in settings]
    values = {
        name: {cells.get(name, "-") for cells in described} for name in itertools.chain(*described)
    }
    shared = [
        f"{name} {value}"
        for name, distinct in values.items()
        for value in distinct
        if name not in always and len(distinct) == 1 and value != "-"
    ]
    headings = [name for name, distinct in values.items() if name in always or len(distinct) > 1]
    return headings, f"All lines: {', '.join(shared)}." if shared else ""
