"""From gin files to one checked configuration of one command, and into gin.

A command is a function that `gin.configurable` registered; gin reaches its parameters, and what its
values refer to, and nothing else. So every mistake can be found before anything runs: gin itself
accepts a misspelt macro, and a parameter that no call consumes, without a word.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import gin
import gin.config

from prompt_tuning.cli import configuration
from prompt_tuning.cli.configuration import Config, Shipped, flatten, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Binding, Key, Macro, Reference, Statements
from prompt_tuning.cli.registry import Names, configurable, gin_parameters, is_registered
from prompt_tuning.cli.value_types import fits, type_name
from prompt_tuning.types import UserError, nearest

SWEEP = "SWEEP"
"""The macro that no parameter uses: the command line reads it (`sweep.py`)."""


def check(statements: Statements, shipped: Shipped = MappingProxyType({})) -> Config:
    """Keeps the last binding of every key, and checks every name and type.

    What only other commands read is left out, unless it is on the command line.

    Args:
        statements: What was read.
        shipped: What the project's own files bind; these macros need no use.

    Raises:
        UserError: for an unknown configurable or parameter, a value of a wrong type, a macro that
            nothing uses or that has no value; it names the place and the nearest names that exist.
    """
    names = Names(statements.imports, shipped)
    for binding in statements.bindings:
        names.register(binding)
    known = [item for binding in statements.bindings for item in names.resolve(binding)]
    config = Config({binding.key: binding for binding in known}, statements.imports, shipped)
    _check_macros(config, known)
    for binding in config.bindings.values():
        if not binding.key.is_macro and is_registered(binding.key.name):
            _check_type(config, binding)
    return config


def override(config: Config, bindings: Sequence[Binding]) -> Config:
    """Returns `config` with further bindings, which win; checks it as `check` does."""
    statements = Statements((*config.bindings.values(), *bindings), config.imports)
    return check(statements, config.shipped)


def operative(config: Config, command: str) -> Config:
    """Returns the part of `config` that `command` uses; running it again repeats the run.

    Raises:
        UserError: when a value that the command needs is not set or belongs to another command, or
            when a binding of the command line has no effect on it.
    """
    used = used_by(config, command)
    for key in (key for key, binding in used.bindings.items() if binding.value == REQUIRED):
        users = [k for k, b in used.bindings.items() if Macro(str(key)) in flatten(b.value)]
        purpose = f" ({', '.join(map(str, users))} uses it)" if users else ""
        raise UserError(f"{key}{purpose} is not set; {_how_to_set(key)}")
    for binding in used.bindings.values():
        for item in flatten(binding.value):
            unknown = isinstance(item, Reference) and not is_registered(item.name)
            if unknown or _is_unset(item, config):
                commands = ", ".join(configuration.commands(item.name, config.shipped))
                raise UserError(f"{binding.place}: {item} is for {commands}, not for {command!r}")
    _check_parameters_are_bound(used, command)
    for key, binding in config.bindings.items():
        if binding.from_command_line and key not in used.bindings and str(key) != SWEEP:
            close = nearest(str(key), map(str, used.bindings))
            commands = configuration.commands(key.unscoped, config.shipped)
            reason = f"; it is for {', '.join(commands)}" if commands else close
            raise UserError(f"{binding.place}: it has no effect on {command!r}{reason}")
    return used


def arguments(config: Config, command: str) -> dict[str, Any]:
    """Gives gin what `command` uses as its whole configuration, and returns the arguments.

    References and macros among the values are resolved.

    Raises:
        UserError: as `operative` does, or from what a reference calls.
    """
    gin.clear_config()
    gin.parse_config(configuration.bindings_text(operative(config, command)))
    return gin.get_bindings(command)


def sweep_of(config: Config) -> Binding | None:
    """Returns the binding of `SWEEP`, or None where it has no value."""
    binding = config.bindings.get(Key("", SWEEP, ""))
    return None if binding is None or binding.value is None else binding


def arguments_alone(config: Config, command: str) -> dict[str, Any]:
    """Returns what `arguments` does, and leaves gin's own configuration as it was.

    Raises:
        UserError: as `arguments`.
    """
    # gin can print its configuration publicly, but not read back all that it prints.
    before = {key: dict(bound) for key, bound in gin.config._CONFIG.items()}
    imports, locked = set(gin.config._IMPORTS), gin.config_is_locked()
    try:
        return arguments(config, command)
    finally:
        gin.clear_config()
        gin.config._CONFIG.update(before)
        gin.config._IMPORTS.update(imports)
        gin.config._set_config_is_locked(locked)


def _check_macros(config: Config, bindings: Sequence[Binding]) -> None:
    """Raises for a macro used without a value, bound without a use, or defined by itself.

    Args:
        config: The configuration.
        bindings: All that were read, in order.
    """
    used: set[str] = set()
    bound = [str(key) for key in config.bindings if key.is_macro]
    for binding in config.bindings.values():
        for item in flatten(binding.value):
            if isinstance(item, Macro) and item != REQUIRED:
                used.add(item.name)
            if _is_unset(item, config) and item.name not in config.shipped:
                close = nearest(item.name, bound)
                raise UserError(f"{binding.place}: the macro %{item.name} has no value{close}")
    for key, binding in config.bindings.items():
        if key.is_macro and not {str(key)} & {*used, *config.shipped, SWEEP}:
            _check_not_overridden(config, bindings, key)
            close = nearest(str(key), {*used, *config.shipped})
            raise UserError(f"{binding.place}: nothing uses the macro {key}{close}")
        if key.is_macro:
            _check_not_circular(config, binding, (str(key),))


def _check_not_overridden(config: Config, bindings: Sequence[Binding], macro: Key) -> None:
    """Raises for a parameter that took its value from a macro until a later binding set it."""
    for before in bindings:
        now = config.bindings[before.key]
        if now is not before and Macro(str(macro)) in flatten(before.value):
            raise UserError(
                f"{now.place}: {now.key} takes its value from the macro {macro}, which nothing "
                f"else uses; set {macro} in its place"
            )


def _check_not_circular(config: Config, binding: Binding, path: tuple[str, ...]) -> None:
    for item in flatten(binding.value):
        if isinstance(item, Macro) and item != REQUIRED:
            if item.name in path:
                raise UserError(f"{binding.place}: the macro %{item.name} is defined by itself")
            following = config.macro(item.name)
            if following is not None:
                _check_not_circular(config, following, (*path, item.name))


def _check_type(config: Config, binding: Binding) -> None:
    source: Binding | None = binding
    while source is not None and isinstance(source.value, Macro):
        source = config.macro(source.value.name)
    annotation = gin_parameters(configurable(binding.key.name))[binding.key.parameter].annotation
    if source is not None and not fits(_without_macros(source.value, config), annotation):
        through = "" if source is binding else f" ({binding.key} uses it)"
        raise UserError(
            f"{source.place}: {source.key}{through} must be {type_name(annotation)}, "
            f"not {source.value!r}"
        )


def _without_macros(value: Any, config: Config) -> Any:
    """Puts the values of macros in their places, as far as they are set."""
    if isinstance(value, Macro):
        binding = config.macro(value.name)
        return value if binding is None else _without_macros(binding.value, config)
    if isinstance(value, dict):
        return {key: _without_macros(item, config) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_macros(item, config) for item in value)
    return value


def _check_parameters_are_bound(used: Config, command: str) -> None:
    """Raises for a parameter without a value, of the command or of a reference that gin calls."""
    values = [item for binding in used.bindings.values() for item in flatten(binding.value)]
    called = [item for item in values if isinstance(item, Reference) and item.evaluate]
    for reference in [Reference("", command, evaluate=True), *called]:
        bound = {key.parameter for key in used.bindings if key.name == reference.name}
        for name, parameter in gin_parameters(configurable(reference.name)).items():
            variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if parameter.default is parameter.empty and not variadic and name not in bound:
                key = Key(reference.scope, reference.name, name)
                raise UserError(f"{key} is not set; {_how_to_set(key)}")


def _how_to_set(key: Key) -> str:
    return f"add --gin.{key}=VALUE, or bind it in a gin file"


def _is_unset(item: Any, config: Config) -> bool:
    return isinstance(item, Macro) and item != REQUIRED and config.macro(item.name) is None
