"""Prompt tuning: a row trains one soft prompt (Lester et al. 2021)."""

import dataclasses
from typing import Any

from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.types import Array, UserError


@dataclasses.dataclass(frozen=True)
class PromptTable(Parameterization):
    """Trains the prompt `[P, H]` itself.

    Attributes:
        length: Tokens of a prompt, P.
    """

    length: int

    def __post_init__(self):
        if self.length < 1:
            raise UserError(f"PromptTable.length must be at least 1, not {self.length}")

    def init(self, key: Array, first: Array, given: Any) -> Array:
        """Returns the first prompt."""
        del key, given
        return first

    def bank(self, trainable: Array, given: Any) -> PromptBank:
        """Returns the prompt."""
        del given
        return PromptBank(trainable[None])
