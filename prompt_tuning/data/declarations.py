"""Declarations of the package's own tasks, read without SeqIO: their versions and their scoring.

The cache keeps a task's tokens as long as its version is unchanged. It always takes metrics and
postprocessors from the declaration, as they do not affect the tokens.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

REGISTRARS: Mapping[str, str] = {
    "prompt_tuning.mini.suite": "prompt_tuning.mini.tasks",
    "prompt_tuning.data.datasets.catalog": "prompt_tuning.data.tasks",
}
"""Maps each module with declarations, which has a function `declared`, to its registering one."""

CAP = 2**19
"""The most examples of a task that count for its mixing rate (Vu et al. 2022, section 2.1)."""


class Declaration(NamedTuple):
    """The declaration of a task or mixture of the package.

    Attributes:
        version: The version of a task's tokens; for a mixture, what determines its rates.
        metrics: Its metrics; empty for a mixture.
        postprocessor: Its postprocessor; None for a mixture.
    """

    version: str
    metrics: Sequence[Callable[..., dict[str, float]]] = ()
    postprocessor: Callable[..., Any] | None = None


def declaration(module: str, name: str) -> Declaration | None:
    """Returns the declaration of a name in a module of `REGISTRARS`, or None if it has none.

    Raises:
        KeyError: The module is not in `REGISTRARS`.
    """
    if module not in REGISTRARS:
        raise KeyError(module)
    return importlib.import_module(module).declared(name)


def declaring_module(name: str) -> str | None:
    """Returns the module that declares a task or mixture, or None for a user's own."""
    return next((module for module in REGISTRARS if declaration(module, name)), None)
