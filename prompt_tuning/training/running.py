"""A row in training: its settings, progress and slot."""

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
    """A row's position when it started a step, whose metrics are read later.

    Attributes:
        step: The step, counted from 1.
        positions: Encoder positions of all steps up to and including this one.
    """

    step: int
    positions: Positions


@dataclasses.dataclass(eq=False, kw_only=True)
class RunningRow:
    """A row in training.

    Attributes:
        row: Its settings.
        tasks: Its task, or those of its mixture.
        progress: Its progress.
        batches: Its training data.
        slot: The slot that holds its state.
        given: Its constants.
        best: Its trainable from the step that was best on validation, on the host (the initial one
            before any evaluation); None where the best is only on disk.
        checkpointed_best: Step of its best in the last checkpoint written by this process.
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
        """State of the row, on the devices."""
        return self.slot.device.state(self.slot.number)

    @property
    def trainable(self) -> Trainable:
        """Current trainable of the row, on the devices."""
        return self.slot.device.trainable(self.slot.number)

    @property
    def ended(self) -> bool:
        """Whether all steps are done, or the row stopped early."""
        return self.progress.step >= self.row.steps or self.progress.stopped is not None

    def needs_evaluation(self, save_steps: Sequence[int]) -> bool:
        """Returns whether the row is due for evaluation, by its schedule or `save_steps`."""
        step, curve = self.progress.step, self.progress.curve
        if curve and curve[-1][0] == step:
            return False
        return self.ended or self.row.evaluates_at(step) or step in save_steps

    def count_step(self, positions: Positions) -> StepDone:
        """Counts a started step and its encoder positions."""
        self.progress.step += 1
        self.progress.positions = self.progress.positions.plus(positions)
        return StepDone(self.progress.step, self.progress.positions)

    def check_step(self, step: int, failed: bool) -> bool:
        """Stops the row if a step failed; returns whether the row is still training.

        Args:
            step: The step; later ones may have started already.
            failed: Whether its loss or update was not finite.
        """
        if failed and self.progress.stopped is None:
            self.progress.stopped = f"the loss or the update of step {step} was not finite"
            self.progress.step = step - 1
        return self.progress.stopped is None
