"""Types and names that every package uses.

Array shapes in docstrings use one letter per axis:

    B  examples in a batch          P  prompt tokens
    T  input tokens of an example   H  model width
    L  target tokens of an example  V  rows of the embedding table
    N  prompts in the bank          C  rows that share one forward pass
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jax import Array as Array

Params = Mapping[str, Any]
"""A nested dictionary of arrays with T5X's parameter names."""


def __getattr__(name: str) -> Any:
    """Imports JAX once a module asks for `Array`, so that commands without models start fast."""
    if name == "Array":
        import jax

        return jax.Array
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class UserError(Exception):
    """Bad input. The message is one line: what is wrong, where, and what to do.

    The command line prints only the message and exits with status 2.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean a, b?)` for the known names closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f" (did you mean {', '.join(close)}?)" if close else ""
