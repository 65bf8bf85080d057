"""A row in training: what it is, how far it is, and the slot its state is in."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.data.batches.pipeline import Batches
from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.parameterizations.parameterization import Given, Trainable
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.slots import Slot
from prompt_tuning.training.step import RowState


class StepDone(NamedTuple):
    """How far a row was when a step of it was started, whose metrics are read later.

    Attributes:
        step: The step.
        positions: Encoder positions of all steps up to it.
    """

    step: int
    positions: Positions


@dataclasses.dataclass(eq=False, kw_only=True)
class RunningRow:
    """A row in training.

    Attributes:
        row: The row.
        tasks: Its task, or those of its mixture.
        progress: How far it is.
        batches: Its training data.
        slot: Where its state is.
        given: Its constants.
        best: What it trained, when it was best on validation (before any evaluation: at the
            start), on the host; None where that is kept on disk alone.
        checkpointed_best: Step of the best of the last checkpoint of this process.
    """

    row: Row
    tasks: tuple[CachedTask, ...]
    progress: Progress
    batches: Batches
    slot: Slot
    given: Given
    best: Trainable | None
    checkpointed_best: int = 0

    @property
    def state(self) -> RowState:
        """Its state, on the devices."""
        return self.slot.device.state(self.slot.number)

    @property
    def trainable(self) -> Trainable:
        """What it trains, on the devices."""
        return self.slot.device.trainable(self.slot.number)

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

    def count_step(self, positions: Positions) -> StepDone:
        """Counts a step that was started, and its encoder positions."""
        self.progress.step += 1
        self.progress.positions = self.progress.positions.plus(positions)
        return StepDone(self.progress.step, self.progress.positions)

    def check_step(self, step: int, failed: bool) -> bool:
        """Stops the row where a step failed; returns whether the row goes on after it.

        Args:
            step: The step, which may be an earlier one than the last.
            failed: Whether its loss or its update was not finite.
        """
        if failed and self.progress.stopped is None:
            self.progress.stopped = f"the loss or the update of step {step} was not finite"
            self.progress.step = step - 1
        return self.progress.stopped is None
