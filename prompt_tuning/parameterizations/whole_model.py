"""Model tuning: a row trains every weight, the baseline of Lester et al. 2021, section 3.1."""

import dataclasses
from typing import Any, ClassVar

from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.types import Array, Params


@dataclasses.dataclass(frozen=True)
class WholeModel(Parameterization):
    """Trains all parameters of the model, without a prompt.

    The papers restore the optimizer state of pre-training. Here it is not read from checkpoints:
    the accumulators start fresh, with the step offset of the pretrained checkpoint.
    """

    length = 0
    tunes_model: ClassVar[bool] = True

    def init(self, key: Array, first: Params, given: Any) -> Params:
        """Returns the first parameters."""
        del key, given
        return first

    def bank(self, trainable: Params, given: Any) -> None:
        """Returns None: there are no prompts."""
        del trainable, given

    def params(self, trainable: Params) -> Params:
        """Returns the parameters."""
        return trainable
