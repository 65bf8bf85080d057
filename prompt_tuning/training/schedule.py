"""How long a row trains, how fast, and how often it is evaluated."""

import dataclasses
import math

from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """Settings of rows that are trained alike.

    Attributes:
        steps: Updates in all. T5X counts from the pretrained checkpoint's step; this does not.
        batch_size: Examples of an update, B.
        learning_rate: Constant.
        eval_period: Steps between evaluations on the validation split.
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
    """Says what to train on before the tasks of a run, which then start from the best of it.

    Attributes:
        task: Task or mixture.
        schedule: How long it trains, and how fast.
    """

    task: str
    schedule: Schedule
