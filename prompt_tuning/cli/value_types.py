"""Checks values in gin files against the annotations of parameters."""

import collections.abc
import types
import typing
from typing import Any

from prompt_tuning.cli.gin_files import Macro, Reference


def fits(value: Any, annotation: Any) -> bool:
    """Returns whether `value` has the type `annotation`; True in doubt.

    Checks numbers, strings, booleans, None, literals and containers of them. Macros and references
    fit everything, as their values are not known yet; nothing else fits a class of this project.
    """
    if isinstance(value, Macro | Reference):
        return True
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return value in arguments
    if annotation in (None, types.NoneType):
        return value is None
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation in (str, bool):
        return isinstance(value, annotation)
    return _container_fits(value, origin or annotation, arguments)


def type_name(annotation: Any) -> str:
    """Returns an annotation as words for an error message: `an integer`, `a string or None`."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(argument) for argument in arguments)
    if origin is typing.Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    plain = {int: "an integer", float: "a number", str: "a string", bool: "True or False"}
    if annotation in (None, types.NoneType):
        return "None"
    if annotation in plain:
        return plain[annotation]
    if _is_own_class(annotation):
        return f"a {annotation.__name__}, given as a reference @NAME()"
    return str(annotation).replace("collections.abc.", "").replace("typing.", "")


_SEQUENCES = (tuple, list, collections.abc.Sequence, collections.abc.Iterable)
_MAPPINGS = (dict, collections.abc.Mapping)


def _container_fits(value: Any, container: Any, arguments: tuple[Any, ...]) -> bool:
    if container in _SEQUENCES:
        if not isinstance(value, tuple | list):
            return False
        if container is tuple and arguments and arguments[-1] is not Ellipsis:
            same = len(value) == len(arguments)
            return same and all(map(fits, value, arguments))
        return all(fits(item, arguments[0]) for item in value) if arguments else True
    if container in _MAPPINGS:
        if not isinstance(value, dict):
            return False
        if not arguments:
            return True
        return all(fits(k, arguments[0]) and fits(v, arguments[1]) for k, v in value.items())
    return not _is_own_class(container)


def _is_own_class(annotation: Any) -> bool:
    """Returns whether it is a class of this project, which only references can build."""
    return isinstance(annotation, type) and annotation.__module__.startswith("prompt_tuning.")
