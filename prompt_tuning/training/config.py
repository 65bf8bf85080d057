"""The settings shared by all rows of a run."""

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
        parameterization: Defines what a row trains and the prompts it produces.
        placement: Where the prompt is inserted in the input, a key of `placement.PLACEMENTS`; None
            means `prefix`.
        slots: Maximum number of rows that train concurrently; the others wait for a free slot.
        microbatch_positions: Encoder positions per microbatch, prompts included; None picks a
            value for the device. A microbatch has at least one example.
        remat: Whether the backward pass recomputes each block, to save memory.
        step: Settings of the training step.
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
        find_placement(self.placement_name)
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
        """Maximum number of rows that train concurrently; 1 in model tuning."""
        return 1 if self.parameterization.tunes_model else self.slots

    @property
    def placement_name(self) -> str:
        """Name of the prompt placement, the default resolved."""
        return self.placement or PREFIX

    @property
    def prompt_length(self) -> int:
        """Tokens per prompt, P; 0 in model tuning."""
        return self.parameterization.length
