"""Settings that all rows of a run share."""

import dataclasses

from prompt_tuning.prompts.placement import find_placement
from prompt_tuning.prompts.usage import PREFIX
from prompt_tuning.training.step import StepConfig
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Settings that all rows of a run share.

    Attributes:
        prompt_length: Tokens of a prompt, P.
        placement: Where prompts stand among the inputs, a name of `placement.PLACEMENTS`; None
            is the usual `prefix`.
        slots: Rows that train at the same time, at most; the others wait for a free slot.
        pass_positions: Encoder positions, prompts included, that go through the model at a time;
            None chooses by the device. A pass has at least one example.
        remat: Whether the backward pass computes each block again, to save memory.
        step: Settings of the train step.
        eval_batch_size: Examples decoded together.
        log_period: Steps between training entries in `metrics.jsonl`.
        checkpoint_period: Steps between checkpoints.
    """

    prompt_length: int
    placement: str | None
    slots: int
    pass_positions: int | None
    remat: bool
    step: StepConfig
    eval_batch_size: int
    log_period: int
    checkpoint_period: int

    def __post_init__(self):
        find_placement(self.placed)
        _check_positive(self, "prompt_length", "slots", *_PERIODS)
        if self.pass_positions is not None:
            _check_positive(self, "pass_positions")

    @property
    def placed(self) -> str:
        """Where prompts stand among the inputs, by name."""
        return self.placement or PREFIX


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelTuneConfig:
    """Settings that all rows of a run of model tuning share.

    The papers restore the optimizer's state of pre-training. Checkpoints are read here without it:
    the accumulators start fresh, with the step offset of the pretrained checkpoint.

    Attributes:
        step: Settings of the train step; its optimizer updates every weight of the model.
        microbatches: Parts a batch is cut into, to save memory.
        remat: Whether the backward pass computes each block again, to save memory.
        eval_batch_size: Examples decoded together.
        log_period: Steps between training entries in `metrics.jsonl`.
        checkpoint_period: Steps between checkpoints, which hold the model and its optimizer.
    """

    step: StepConfig
    microbatches: int
    remat: bool
    eval_batch_size: int
    log_period: int
    checkpoint_period: int

    def __post_init__(self):
        _check_positive(self, "microbatches", *_PERIODS)


_PERIODS = ("eval_batch_size", "log_period", "checkpoint_period")


def _check_positive(config: TuneConfig | ModelTuneConfig, *fields: str) -> None:
    for field in fields:
        if getattr(config, field) < 1:
            raise UserError(
                f"{type(config).__name__}.{field} must be at least 1, not {getattr(config, field)}"
            )
