"""What the package says of its own tasks without SeqIO: which version they are, how they score.

The cache keeps the tokens of a task for as long as its version stays, and takes its metrics and
postprocessor from here each time, because they are no part of the tokens.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

REGISTRARS: Mapping[str, str] = {
    "prompt_tuning.mini.suite": "prompt_tuning.mini.tasks",
    "prompt_tuning.data.datasets.catalog": "prompt_tuning.data.tasks",
}
"""The modules that declare tasks (each has a function `declared`), and what registers them."""

CAP = 2**19
"""The most examples of a task that count towards its rate (Vu et al. 2022, section 2.1)."""


class Declaration(NamedTuple):
    """Says what a task or mixture of the package is.

    Attributes:
        version: Of what it is tokenized to; of a mixture, what its rates come from.
        metrics: Its metrics; none of a mixture.
        postprocessor: Its postprocessor; None for a mixture.
    """

    version: str
    metrics: Sequence[Callable[..., dict[str, float]]] = ()
    postprocessor: Callable[..., Any] | None = None


def declaration(module: str, name: str) -> Declaration | None:
    """Returns what a module of `REGISTRARS` declares by a name; None where there is no such name.

    Raises:
        KeyError: It is another module.
    """
    if module not in REGISTRARS:
        raise KeyError(module)
    return importlib.import_module(module).declared(name)


def declaring_module(name: str) -> str | None:
    """Returns which module declares a task or mixture; None for one of a user's own."""
    return next((module for module in REGISTRARS if declaration(module, name)), None)
