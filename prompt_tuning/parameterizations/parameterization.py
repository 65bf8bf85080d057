"""The base class of parameterizations: what a row trains, and the prompts or model it makes."""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax

from prompt_tuning.prompts.bank import Bank, PromptBank
from prompt_tuning.prompts.initializers import InitContext
from prompt_tuning.types import Array, Params

Trainable = Any
"""The trained arrays of a row: any tree of float arrays."""

Given = Any
"""Constants of a row, such as source prompts: any tree of arrays. The optimizer never sees them."""


class Variables(NamedTuple):
    """The inputs of a model that depend on a row's trainable; a step differentiates by them.

    Attributes:
        bank: The row's K prompts, or None.
        params: The row's model parameters, or None for the frozen ones.
    """

    bank: Bank | None
    params: Params | None


class Parameterization(abc.ABC):
    """Defines what a row trains, and how prompts or a model are computed from it.

    A new method is a frozen dataclass in its own module. It derives from this class and defines at
    least `length`, `init` and `bank`; gin builds it. JAX traces all methods except `given` and
    `describe`.

    Attributes:
        length: Tokens of each prompt, P.
        tunes_model: Whether each row has its own model, so that rows train one after another.
    """

    length: int
    tunes_model: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, key: Array, first: Any, given: Given) -> Trainable:
        """Returns the trainable of a row before its first step.

        Args:
            key: The row's random key.
            first: The first prompt `[P, H]`, from the row's initializer; for a parameterization
                that `tunes_model`, the first parameters of the model.
            given: The row's constants.
        """

    @abc.abstractmethod
    def bank(self, trainable: Trainable, given: Given) -> Bank | None:
        """Returns the row's K prompts: one, or one per task of a mixture in its order."""

    def params(self, trainable: Trainable) -> Params | None:
        """Returns the row's own model parameters, or None for the frozen ones."""
        del trainable
        return None

    def given(self, context: InitContext) -> Given:
        """Returns the constants of a row.

        Args:
            context: The frozen model, the task and the finished rows.
        """
        del context
        return ()

    def rates(self, trainable: Trainable) -> Any:
        """Returns factors of the learning rate, one per leaf, in a tree like `trainable`."""
        return jax.tree.map(lambda _: 1.0, trainable)

    def prompt(self, trainable: Trainable, given: Given) -> Array:
        """Returns the prompt `[P, H]` to save in prompt files."""
        bank = self.bank(trainable, given)
        if not isinstance(bank, PromptBank) or len(bank.prompts) != 1:
            raise NotImplementedError(
                f"{type(self).__name__} gives no single prompt: define its method `prompt`"
            )
        return bank.prompts[0]

    def describe(self) -> dict[str, Any]:
        """Returns the parameterization as a JSON object, which helps to identify results."""
        settings = dataclasses.asdict(self) if dataclasses.is_dataclass(self) else {}
        return {"parameterization": type(self).__name__, **settings}

    def variables(self, trainable: Trainable, given: Given) -> Variables:
        """Returns the inputs of the model that depend on the row."""
        return Variables(self.bank(trainable, given), self.params(trainable))
