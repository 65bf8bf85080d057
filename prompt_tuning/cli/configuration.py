"""A configuration as plain data: the bindings, which of them a command uses, and their text.

What a command uses is what can be reached from the bindings of its function through macros and
references, as gin would when the function is called.
"""

import dataclasses
import pprint
from collections.abc import Iterator, Mapping
from typing import Any

import prompt_tuning
from prompt_tuning.cli.gin_files import (
    DYNAMIC_REGISTRATION,
    Binding,
    Key,
    Macro,
    Reference,
)

Shipped = Mapping[str, tuple[str, ...]]
"""What the project's own files bind, `MACRO` or `name.parameter`, whatever command runs.

Each has the commands that read it; none where all do.
"""


@dataclasses.dataclass(frozen=True)
class Config:
    """The last binding of every key, in the order of first mention, and the imports.

    `shipped` has what the project's own files bind.
    """

    bindings: Mapping[Key, Binding]
    imports: tuple[str, ...]
    shipped: Shipped

    def macro(self, name: str) -> Binding | None:
        """Returns the binding of the macro `%name`, None when it has no value."""
        scope, _, last = name.rpartition("/")
        return self.bindings.get(Key(scope, last, ""))


def used_by(config: Config, command: str) -> Config:
    """Returns the part of `config` that calling the configurable `command` consumes."""
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
            keys = parameters_of(config, scope, item.name)
        for key in keys:
            if not (key.is_macro and key in used):
                used.add(key)
                waiting += [(scope, nested) for nested in flatten(config.bindings[key].value)]
    bindings = {key: binding for key, binding in config.bindings.items() if key in used}
    return dataclasses.replace(config, bindings=bindings)


def parameters_of(config: Config, scope: str, name: str) -> list[Key]:
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


def text(config: Config) -> str:
    """Writes a configuration as a gin file: imports, macros, a section for each configurable."""
    lines = [f"# Written by prompt-tuning {prompt_tuning.__version__}."]
    for module in config.imports:
        dynamic = module == DYNAMIC_REGISTRATION
        lines.append("from __gin__ import dynamic_registration" if dynamic else f"import {module}")
    return "\n".join([*lines, bindings_text(config)])


def bindings_text(config: Config) -> str:
    """Writes the bindings of a configuration as in a gin file."""
    lines: list[str] = []
    sections: dict[tuple[str, str], list[str]] = {}
    for key, binding in sorted(config.bindings.items(), key=lambda item: not item[0].is_macro):
        section = ("", "") if key.is_macro else (key.scope, key.name)
        sections.setdefault(section, []).extend(_format(str(key), binding.value))
    for section in sections.values():
        lines += ["", *section]
    return "\n".join(lines) + "\n"


def commands(name: str, shipped: Shipped) -> list[str]:
    """Returns which commands alone read a macro, a parameter, or those of a configurable."""
    keys = [key for key in shipped if key == name or key.startswith(f"{name}.")]
    return sorted({command for key in keys for command in shipped[key]})


def _format(key: str, value: Any) -> list[str]:
    line = f"{key} = {value!r}"
    if len(line) <= 100 or not isinstance(value, dict | list | tuple):
        return [line]
    pretty = pprint.pformat(value, width=96, sort_dicts=False)
    return [f"{key} = \\", *(f"    {line}" for line in pretty.splitlines())]
