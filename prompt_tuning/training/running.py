"""A row in training: what it is, how far it is, and where its state lives."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.pipeline import Batches
from prompt_tuning.data.shapes import Shape
from prompt_tuning.training.lanes import Lane
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.state import RowState


class Place(NamedTuple):
    """A slot of a lane."""

    lane: Lane
    slot: int


@dataclasses.dataclass
class Running:
    """A row in training.

    Attributes:
        row: The row.
        tasks: Its task, or those of its mixture.
        progress: How far it is.
        batches: Its training data.
        best: Its prompt best on validation, `[P, H]`; the first prompt before any evaluation.
        place: Where its state is.
    """

    row: Row
    tasks: tuple[CachedTask, ...]
    progress: Progress
    batches: Batches
    best: np.ndarray
    place: Place

    @property
    def state(self) -> RowState:
        """Its trainable state, on the host; waits for the device."""
        return self.place.lane.state(self.place.slot)

    @property
    def ended(self) -> bool:
        """Whether all its steps are done, or it stopped early."""
        return self.progress.step >= self.row.steps or self.progress.stopped is not None


def place(
    row: Row,
    task: CachedTask | CachedMixture,
    shapes: list[Shape],
    where: Place,
    *,
    state: RowState,
    progress: Progress,
    best: np.ndarray,
) -> Running:
    """Puts a row with its state into a slot, and its data where its progress left it."""
    where.lane.load(where.slot, row, state)
    batches = training_batches(row, task, shapes, progress)
    tasks = tuple(part for part, _ in task.parts)
    return Running(row, tasks, progress, batches, best, where)


def training_batches(
    row: Row, task: CachedTask | CachedMixture, shapes: Sequence[Shape], progress: Progress
) -> Batches:
    """Opens a row's training data where its progress left it."""
    batches = Batches(
        [(part.training, rate) for part, rate in task.parts],
        batch_size=row.schedule.batch_size,
        seed=row.seed,
        shapes=shapes,
        process_index=0,
        process_count=1,
    )
    if progress.data:
        batches.restore(progress.data)
    return batches
