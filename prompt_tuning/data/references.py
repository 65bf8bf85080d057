"""References to functions by name: a cached task's metrics are called without its registry."""

import functools
import importlib
import inspect
import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from prompt_tuning.types import UserError

Reference = dict[str, Any]
"""`{"fn": "module:qualified.name", "kwargs": {...}}`; for a metric, `of` names its 2nd argument."""

SCORES = "scores"
"""The `of` of a metric that takes log-likelihoods in place of predictions, as in SeqIO."""


class Scoring(NamedTuple):
    """References to the functions that score a task.

    Attributes:
        metrics: Its metrics.
        postprocessor: Maps decoded text to what the metrics compare, if not None.
    """

    metrics: tuple[Reference, ...]
    postprocessor: Reference | None

    @property
    def labels(self) -> tuple[str, ...]:
        """The label words by class, as bound in the postprocessor; empty for open answers."""
        bound = self.postprocessor["kwargs"] if self.postprocessor else {}
        return tuple(bound.get("labels") or bound.get("label_classes") or ())


def refer_scoring(
    metrics: Iterable[Callable[..., Any]], postprocessor: Callable[..., Any] | None, owner: str
) -> Scoring:
    """Returns references to a task's metrics and postprocessor.

    Args:
        metrics: Functions of (targets, predictions) or (targets, scores).
        postprocessor: The postprocessor, or None.
        owner: The task, for error messages.

    Raises:
        UserError: As `refer`, or a metric takes other arguments.
    """
    return Scoring(
        tuple(_refer_metric(metric, owner) for metric in metrics),
        refer(postprocessor, owner) if postprocessor else None,
    )


def refer(function: Callable[..., Any], owner: str) -> Reference:
    """Returns a reference to a function or to a `functools.partial` of one.

    Args:
        function: A function at the top level of a module or of a class in it.
        owner: The task that uses it, for error messages.

    Raises:
        UserError: It is a lambda or a local function, or its arguments are not JSON values.
    """
    kwargs: dict[str, Any] = {}
    args: tuple[Any, ...] = ()
    if isinstance(function, functools.partial):  # a partial of a partial is already flat
        function, args, kwargs = function.func, function.args, dict(function.keywords)
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or module == "__main__" or "<" in name:
        raise UserError(
            f"{owner} uses {function!r}, which cannot be found again by name; "
            "define it at the top level of an importable module (functools.partial is fine)"
        )
    reference: Reference = {"fn": f"{module}:{name}", "kwargs": kwargs}
    if resolve(reference, owner=owner).func is not function:
        raise UserError(
            f"{owner} uses {module}.{name}, but that name now holds another object; "
            "give the function a name of its own"
        )
    if args:
        raise UserError(
            f"{owner} binds positional arguments of {module}.{name}; bind them by name instead"
        )
    try:
        reference["kwargs"] = json.loads(json.dumps(kwargs))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{owner} binds arguments of {module}.{name} that are not plain values ({error}); "
            "bind strings, numbers and lists only"
        ) from error
    return reference


def resolve(reference: Reference, owner: str) -> functools.partial:
    """Imports a referenced function and returns it with its keyword arguments bound.

    Raises:
        UserError: The module or the name no longer exists.
    """
    module, _, name = reference["fn"].partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"{owner} needs {module}.{name}, which cannot be imported ({error}); "
            "put its module on PYTHONPATH, or rebuild the cache"
        ) from error
    return functools.partial(function, **reference["kwargs"])


def _refer_metric(function: Callable[..., Any], owner: str) -> Reference:
    parameters = inspect.signature(function).parameters.values()
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    if needed not in (["targets", "predictions"], ["targets", SCORES]):
        raise UserError(
            f"{owner} has a metric of ({', '.join(needed)}); "
            "metrics of (targets, predictions) or (targets, scores) can be used"
        )
    return refer(function, owner) | {"of": needed[1]}
