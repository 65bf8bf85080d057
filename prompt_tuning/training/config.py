"""Settings that all rows of a run share."""

import dataclasses

from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.prompts.files import PREFIX
from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.training.step import StepConfig
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Settings that all rows of a run share.

    Attributes:
        parameterization: What a row trains.
        placement: Where prompts stand among the inputs, a name of `placement.PLACEMENTS`; None is
            the usual `prefix`.
        slots: Rows that train at the same time, at most; the others wait for a free slot.
        microbatch_positions: Encoder positions, prompts included, that go through the model at a
            time; None chooses by the device. A microbatch has at least one example.
        remat: Whether the backward pass computes each block again, to save memory.
        step: Settings of the train step.
        eval_batch_size: Examples decoded together.
        log_period: Steps between training entries in `metrics.jsonl`.
        checkpoint_period: Steps between checkpoints.
    """

    parameterization: Parameterization
    placement: str | None
    slots: int
    microbatch_positions: int | None
    remat: bool
    step: StepConfig
    eval_batch_size: int
    log_period: int
    checkpoint_period: int

    def __post_init__(self):
        find_placement(self.placed)
        positive = ["slots", "eval_batch_size", "log_period", "checkpoint_period"]
        if self.microbatch_positions is not None:
            positive.append("microbatch_positions")
        for field in positive:
            if getattr(self, field) < 1:
                raise UserError(
                    f"TuneConfig.{field} must be at least 1, not {getattr(self, field)}"
                )

    @property
    def slots_in_use(self) -> int:
        """Rows that train at the same time, at most: one that has the model trains alone."""
        return 1 if self.parameterization.tunes_model else self.slots

    @property
    def placed(self) -> str:
        """Where prompts stand among the inputs, by name."""
        return self.placement or PREFIX

    @property
    def prompt_length(self) -> int:
        """Tokens of a prompt, P; 0 where the model is tuned."""
        return self.parameterization.length
