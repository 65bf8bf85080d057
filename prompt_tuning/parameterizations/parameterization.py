"""The protocol of parameterizations: what a row trains, and what the model reads of it."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax

from prompt_tuning.prompts.bank import Bank, PromptBank
from prompt_tuning.prompts.initializers import InitContext
from prompt_tuning.types import Array, Params

Trainable = Any
"""What a row trains: any tree of float arrays."""

Given = Any
"""Constants of a row, such as source prompts: any tree of arrays. The optimizer never sees them."""


class Variables(NamedTuple):
    """What the model reads of a row in the passes of a step, which are differentiated by it.

    Attributes:
        bank: The row's K prompts, or None.
        params: The row's model parameters, or None for the frozen ones.
    """

    bank: Bank | None
    params: Params | None


class Parameterization(abc.ABC):
    """Says what a row trains and which prompts, or which model, that gives.

    A new method is a frozen dataclass that derives from this class, in a module of its own: it has
    at least `length`, `init` and `bank`, and gin builds it. All its methods are traced by JAX but
    for `given` and `describe`.

    Attributes:
        length: Tokens of each prompt, P.
        tunes_model: Whether a row has the model for itself, so that rows train one after another.
    """

    length: int
    tunes_model: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, key: Array, first: Any, given: Given) -> Trainable:
        """Returns what a row trains, before its first step.

        Args:
            key: A random key of the row.
            first: The row's first prompt `[P, H]`, of its initializer; for a parameterization that
                `tunes_model` the first parameters of the model.
            given: The row's constants.
        """

    @abc.abstractmethod
    def bank(self, trainable: Trainable, given: Given) -> Bank | None:
        """Returns the row's K prompts: one, or one for each task of a mixture in its order."""

    def params(self, trainable: Trainable) -> Params | None:
        """Returns the row's own parameters of the model; None for the frozen ones."""
        del trainable
        return None

    def given(self, context: InitContext) -> Given:
        """Returns the constants of a row.

        Args:
            context: What a row may draw on.
        """
        del context
        return ()

    def rates(self, trainable: Trainable) -> Any:
        """Returns the factor of the learning rate for each leaf, in a tree like `trainable`."""
        return jax.tree.map(lambda _: 1.0, trainable)

    def prompt(self, trainable: Trainable, given: Given) -> Array:
        """Returns the prompt `[P, H]` that is kept in prompt files."""
        bank = self.bank(trainable, given)
        if not isinstance(bank, PromptBank) or len(bank.prompts) != 1:
            raise NotImplementedError(
                f"{type(self).__name__} gives no single prompt: define its method `prompt`"
            )
        return bank.prompts[0]

    def describe(self) -> dict[str, Any]:
        """Returns the parameterization as a JSON object; it is part of what identifies a result."""
        settings = dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}
        return {"parameterization": type(self).__name__, **settings}

    def variables(self, trainable: Trainable, given: Given) -> Variables:
        """Returns what the model reads of the row."""
        return Variables(self.bank(trainable, given), self.params(trainable))
