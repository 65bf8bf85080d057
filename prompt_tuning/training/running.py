"""A row in training: what it is, how far it is, and where its state lives."""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.padding import Positions
from prompt_tuning.data.pipeline import Batches
from prompt_tuning.data.shapes import Shape
from prompt_tuning.training.lanes import Lane
from prompt_tuning.training.model_step import ModelState
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.state import RowState
from prompt_tuning.training.work import Work


class Done(NamedTuple):
    """How far a row was when a step of it was begun, whose metrics are read later.

    Attributes:
        step: The step.
        positions: Encoder positions of all steps up to it.
    """

    step: int
    positions: Positions


@dataclasses.dataclass(eq=False, kw_only=True)
class Running:
    """A row in training.

    Attributes:
        row: The row.
        tasks: Its task, or those of its mixture.
        progress: How far it is.
        batches: Its training data.
    """

    row: Row
    tasks: tuple[CachedTask, ...]
    progress: Progress
    batches: Batches

    @classmethod
    def open(cls, row: Row, work: Work, progress: Progress, **state: Any) -> Self:
        """Returns the row with `state`, and its data where its progress left it."""
        task = work.tasks[row.task]
        batches = open_batches(row, task, work.shapes)
        if progress.data:
            batches.restore(progress.data)
        tasks = tuple(part for part, _ in task.parts)
        return cls(row=row, tasks=tasks, progress=progress, batches=batches, **state)

    @property
    def ended(self) -> bool:
        """Whether all its steps are done, or it stopped early."""
        return self.progress.step >= self.row.steps or self.progress.stopped is not None

    def is_due(self, save_steps: Sequence[int]) -> bool:
        """Says whether it is to be evaluated now, `save_steps` included."""
        step, curve = self.progress.step, self.progress.curve
        if curve and curve[-1][0] == step:
            return False
        return self.ended or self.row.evaluates_at(step) or step in save_steps

    def begun(self, positions: Positions) -> Done:
        """Counts a step that has begun, and its encoder positions."""
        self.progress.step += 1
        self.progress.positions = self.progress.positions.plus(positions)
        return Done(self.progress.step, self.progress.positions)

    def passed(self, step: int, *, failed: bool, what: str) -> bool:
        """Notes how a step went; returns false where the row stopped there, or before.

        Args:
            step: The step, which may be an earlier one than the last.
            failed: Whether the loss or `what` was not finite, which stops the row.
            what: What the step checks beside the loss.
        """
        if failed and self.progress.stopped is None:
            self.progress.stopped = f"the loss or the {what} of step {step} was not finite"
            self.progress.step = step - 1
        return self.progress.stopped is None


def open_batches(row: Row, task: CachedTask | CachedMixture, shapes: Sequence[Shape]) -> Batches:
    """Returns the training batches of a row, from its first."""
    return Batches(
        [(part.training, rate) for part, rate in task.parts],
        batch_size=row.schedule.batch_size,
        seed=row.seed,
        shapes=shapes,
        process_index=0,
        process_count=1,
    )


class Place(NamedTuple):
    """A slot of a lane."""

    lane: Lane
    slot: int


@dataclasses.dataclass(eq=False, kw_only=True)
class RunningPrompt(Running):
    """A row whose prompt is in training.

    Attributes:
        best: Its prompt best on validation, `[P, H]`; the first prompt before any evaluation.
        place: Where its state is.
    """

    best: np.ndarray
    place: Place

    @property
    def prompt(self) -> np.ndarray:
        """Its prompt `[P, H]`, on the host; waits for the device."""
        return self.place.lane.prompt(self.place.slot)

    @property
    def state(self) -> RowState:
        """Its trainable state, on the host; waits for the device."""
        return self.place.lane.state(self.place.slot)


@dataclasses.dataclass(eq=False, kw_only=True)
class RunningModel(Running):
    """A row whose model is in training.

    Attributes:
        state: Its model and optimizer, on the devices.
        unread: Steps whose metrics were not read yet, with these.
        saved_best: Step of the best model of the last checkpoint of this process.
    """

    state: ModelState
    unread: collections.deque = dataclasses.field(default_factory=collections.deque)
    saved_best: int = 0
