"""Settings that all rows of a run share."""

import dataclasses

from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training.step import StepConfig
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Settings that all rows of a run share.

    Attributes:
        prompt_length: Tokens of a prompt, P.
        placement: Where prompts stand among the inputs, a name of `placement.PLACEMENTS`.
        step: Settings of the train step.
        eval_batch_size: Examples decoded together.
        log_period: Steps between training entries in `metrics.jsonl`.
        checkpoint_period: Steps between checkpoints.
    """

    prompt_length: int
    placement: str
    step: StepConfig
    eval_batch_size: int
    log_period: int
    checkpoint_period: int

    def __post_init__(self):
        find_placement(self.placement)
        for field in ("prompt_length", "eval_batch_size", "log_period", "checkpoint_period"):
            if getattr(self, field) < 1:
                raise UserError(
                    f"TuneConfig.{field} must be at least 1, not {getattr(self, field)}"
                )
