"""Rows: the tuning of one soft prompt or one model each, and its progress."""

import collections
import dataclasses
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.data.batches.pipeline import Batches
from prompt_tuning.data.batches.shapes import Shape
from prompt_tuning.data.cached_task import MixtureOrTask
from prompt_tuning.prompts.initializers import Initializer
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.types import UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The tuning of one soft prompt, or of one model.

    Attributes:
        name: Name of the row's directory under `prompts/` or `models/`: letters, digits, `.`, `_`
            and `-`.
        task: Task or mixture whose train split it is tuned on, and whose validation split picks
            the best checkpoint.
        start: Initializer of the prompt or model.
        seed: Seed of the initial prompt, the data order and dropout, in [0, 2**32).
        schedule: Steps, batch size, learning rate and evaluation period; step 0 and the last step
            are always evaluated.
        method: Recorded in the results: `prompt_tuning`, `spot`, `model_tuning`, ...
        source: Recorded in the results: the source task of a transferred prompt, or None.

    Raises:
        UserError: The name or the seed is not valid.
    """

    name: str
    task: str
    start: Initializer
    seed: int
    schedule: Schedule
    method: str = "prompt_tuning"
    source: str | None = None

    def __post_init__(self):
        where = f"row '{self.name}'"
        if not _NAME.fullmatch(self.name):
            raise UserError(f"{where}: a row's name is made of letters, digits, '.', '_' and '-'")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            raise UserError(
                f"{where}: seed must be a whole number in [0, 2**32), not {self.seed!r}"
            )

    def evaluates_at(self, step: int) -> bool:
        """Returns whether the row is evaluated after `step` steps."""
        return step % self.schedule.eval_period == 0 or step == self.steps

    @property
    def steps(self) -> int:
        """Total number of updates."""
        return self.schedule.steps

    def describe(self) -> dict[str, Any]:
        """Returns the row as a JSON object."""
        return {**dataclasses.asdict(self), "start": self.start.describe()}

    def digest(self, context: str) -> str:
        """Returns a hash of the row's settings and of `context`.

        A prompt file that the row starts from counts by content, not by path.
        """
        described = self.describe()
        if "digest" in described["start"]:
            described["start"].pop("path", None)
        text = json.dumps([described, context], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def check_rows(rows: Sequence[Row], *, save_steps: Sequence[int]) -> None:
    """Checks that rows can train in one run.

    Args:
        rows: The rows of the run.
        save_steps: Steps after which prompts or models are also saved.

    Raises:
        UserError: There are no rows, two share a name, or no row reaches one of `save_steps`.
    """
    if not rows:
        raise UserError("there is nothing to train; give at least one task and one seed")
    for name, count in collections.Counter(row.name for row in rows).items():
        if count > 1:
            raise UserError(f"two rows are called '{name}'; give each task, start and seed once")
    longest = max(row.steps for row in rows)
    for step in save_steps:
        if not 0 <= step <= longest:
            raise UserError(
                f"save_steps has step {step}, but rows train {longest} steps; give steps of the run"
            )


@dataclasses.dataclass
class Progress:
    """Host-side progress of a row.

    Attributes:
        step: Steps done.
        curve: `[step, validation score]` of each evaluation.
        best_step: Step of the best validation score, or None before the first evaluation.
        best_score: That score, 0-100, or None.
        data: Position of the input pipeline, as `Batches.state` returns it.
        positions: Encoder positions of its steps, and how many of those were padding.
        seconds: Wall time the row has been in training; rows trained together share it.
        stopped: Why the row stopped early, or None.
    """

    step: int = 0
    curve: list[list[float]] = dataclasses.field(default_factory=list)
    best_step: int | None = None
    best_score: float | None = None
    data: dict[str, int] = dataclasses.field(default_factory=dict)
    positions: Positions = dataclasses.field(default_factory=Positions)
    seconds: float = 0.0
    stopped: str | None = None

    def __post_init__(self):
        self.positions = Positions(*self.positions)  # A list in JSON.

    def record(self, step: int, score: float) -> bool:
        """Records the validation score of a step; returns whether it is the best so far."""
        self.curve.append([step, score])
        if self.best_score is None or score > self.best_score:
            self.best_step, self.best_score = step, score
            return True
        return False


def row_name(task: str, *parts: str) -> str:
    """Returns a valid row name: the task and further parts, joined by dots."""
    return ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part).lstrip("_-") for part in (task, *parts))


def open_batches(row: Row, task: MixtureOrTask, shapes: Sequence[Shape]) -> Batches:
    """Returns the training batches of a row, from its first."""
    return Batches(
        [(part.training, rate) for part, rate in task.parts],
        batch_size=row.schedule.batch_size,
        seed=row.seed,
        shapes=shapes,
        process_index=0,
        process_count=1,
    )
