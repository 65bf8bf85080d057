"""A configuration as plain data: the bindings, those that a command uses, and their text.

A command uses what gin would reach when it calls the command's function: the bindings of its
parameters, and what their values refer to.
"""

import dataclasses
import pprint
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import prompt_tuning
from prompt_tuning.cli.gin_files import DYNAMIC_REGISTRATION, Binding, Key, Macro, Reference
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True)
class Config:
    """The last binding of every key, in the order of first mention, and the imports."""

    bindings: Mapping[Key, Binding]
    imports: tuple[str, ...]

    def macro(self, name: str) -> Binding | None:
        """Returns the binding of the macro `%name`, None if it has no value."""
        scope, _, last = name.rpartition("/")
        return self.bindings.get(Key(scope, last, ""))

    def resolve(self, value: Any, path: tuple[str, ...] = ()) -> Any:
        """Replaces the macros in a value by their values; a macro without one stays.

        Raises:
            UserError: A macro's value contains the macro itself.
        """

        def of_item(item: Any) -> Any:
            binding = self.macro(item.name) if isinstance(item, Macro) else None
            if binding is None:
                return item
            if item.name in path:
                raise UserError(f"{binding.place}: the macro {item} is defined by itself")
            return self.resolve(binding.value, (*path, item.name))

        return map_items(value, of_item)


def used_by(config: Config, command: str) -> Config:
    """Returns the part of `config` that gin reads when it calls the configurable `command`."""
    used: set[Key] = set()
    waiting: list[tuple[str, Any]] = [("", Reference("", command, evaluate=True))]
    called: set[tuple[str, str]] = set()
    while waiting:
        scope, item = waiting.pop()
        keys: list[Key] = []
        if isinstance(item, Macro):
            binding = config.macro(item.name)
            keys = [binding.key] if binding else []
        elif isinstance(item, Reference) and (item.scope or scope, item.name) not in called:
            scope = item.scope or scope
            called.add((scope, item.name))
            keys = _parameters_of(config, scope, item.name)
        for key in keys:
            if not (key.is_macro and key in used):
                used.add(key)
                waiting += [(scope, nested) for nested in flatten(config.bindings[key].value)]
    bindings = {key: binding for key, binding in config.bindings.items() if key in used}
    return dataclasses.replace(config, bindings=bindings)


def _parameters_of(config: Config, scope: str, name: str) -> list[Key]:
    """Returns what binds each parameter of `name` called in `scope`: the innermost scope wins."""
    innermost: dict[str, Key] = {}
    for key in config.bindings:
        inside = not key.scope or f"{scope}/".startswith(f"{key.scope}/")
        if not key.is_macro and key.name == name and inside:
            known = innermost.get(key.parameter)
            if known is None or len(key.scope) > len(known.scope):
                innermost[key.parameter] = key
    return list(innermost.values())


def flatten(value: Any) -> Iterator[Any]:
    """Yields the items of nested lists, tuples and dictionaries; anything else is its own item."""
    if isinstance(value, dict):
        for item in value.items():
            yield from flatten(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from flatten(item)
    else:
        yield value


def map_items(value: Any, function: Callable[[Any], Any]) -> Any:
    """Applies a function to the items of nested lists, tuples and values of dictionaries."""
    if isinstance(value, dict):
        return {key: map_items(item, function) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map_items(item, function) for item in value)
    return function(value)


def config_text(config: Config) -> str:
    """Formats a configuration as a gin file: imports, macros, a section for each configurable."""
    lines = [f"# Written by prompt-tuning {prompt_tuning.__version__}."]
    if DYNAMIC_REGISTRATION in config.imports:  # gin wants it first.
        lines.append("from __gin__ import dynamic_registration")
    lines += [f"import {module}" for module in config.imports if module != DYNAMIC_REGISTRATION]
    return "\n".join([*lines, bindings_text(config)])


def bindings_text(config: Config) -> str:
    """Formats the bindings of a configuration as in a gin file."""
    lines: list[str] = []
    sections: dict[tuple[str, str], list[str]] = {}
    for key, binding in sorted(config.bindings.items(), key=lambda item: not item[0].is_macro):
        section = ("", "") if key.is_macro else (key.scope, key.name)
        sections.setdefault(section, []).extend(_format(str(key), binding.value))
    for section in sections.values():
        lines += ["", *section]
    return "\n".join(lines) + "\n"


def _format(key: str, value: Any) -> list[str]:
    line = f"{key} = {value!r}"
    if len(line) <= 100 or not isinstance(value, dict | list | tuple):
        return [line]
    pretty = pprint.pformat(value, width=96, sort_dicts=False)
    return [f"{key} = \\", *(f"    {line}" for line in pretty.splitlines())]
