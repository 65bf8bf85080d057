"""Training schedules: steps, batch size, learning rate and evaluation period."""

import dataclasses
import math

from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule of a row.

    Attributes:
        steps: Number of updates in this run. T5X counts from the pretrained checkpoint's step.
        batch_size: Examples per update, B.
        learning_rate: Constant learning rate.
        eval_period: Steps between evaluations on the validation split.

    Raises:
        UserError: A value is not positive, or the learning rate not finite.
    """

    steps: int
    batch_size: int
    learning_rate: float
    eval_period: int

    def __post_init__(self):
        for field in ("steps", "batch_size", "eval_period"):
            value = getattr(self, field)
            if not isinstance(value, int) or value < 1:
                raise UserError(f"Schedule.{field} must be a positive whole number, not {value!r}")
        if not 0 < self.learning_rate < math.inf:
            raise UserError(
                f"Schedule.learning_rate must be above 0 and finite, not {self.learning_rate!r}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceStage:
    """A source trained before the targets, which start from its best checkpoint.

    Attributes:
        task: Task or mixture.
        schedule: Its schedule.
    """

    task: str
    schedule: Schedule
