"""Settings that all rows of a run share."""

import dataclasses

from prompt_tuning.training.step import StepConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """Settings that all rows of a run share.

    Attributes:
        prompt_length: Tokens of a prompt, P.
        placement: Where prompts stand among the inputs, a name of `PLACEMENTS`.
        step: Settings of the train step.
        eval_batch_size: Examples decoded together.
        log_period: Steps between training entries in `metrics.jsonl`.
        checkpoint_period: Steps between checkpoints.
        save_steps: Steps after which a row's prompt is also kept as `step_<n>.safetensors`.
    """

    prompt_length: int
    placement: str
    step: StepConfig
    eval_batch_size: int
    log_period: int
    checkpoint_period: int
    save_steps: tuple[int, ...]
