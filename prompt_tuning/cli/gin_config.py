"""Builds the checked configuration of one command, and gives it to gin.

gin silently accepts a misspelt macro and a parameter that no call reads. Here every mistake is
found before the command runs.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gin
import gin.config

from prompt_tuning.cli.configuration import Config, bindings_text, flatten, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Binding, Key, Macro, Reference, Statements
from prompt_tuning.cli.registry import (
    Names,
    commands_reading,
    find_configurable,
    gin_parameters,
    is_registered,
    shipped_settings,
)
from prompt_tuning.cli.value_types import fits, type_name
from prompt_tuning.types import UserError, nearest

SWEEP = Key("", "SWEEP", "")
"""A macro that the command line reads (`sweep.py`), and no parameter."""


def build_config(statements: Statements) -> Config:
    """Keeps the last binding of every key, and checks every name and type.

    Leaves out what only other commands read, except on the command line.

    Raises:
        UserError: A configurable or parameter is unknown, a value has the wrong type, or a macro
            has no value or no use. The message has the place and the nearest known names.
    """
    names = Names(statements.imports)
    for binding in statements.bindings:
        names.register(binding)
    history = [item for binding in statements.bindings for item in names.resolve(binding)]
    config = Config({binding.key: binding for binding in history}, statements.imports)
    _check_macros_have_values(config)
    _check_macros_are_used(config, history)
    for binding in config.bindings.values():
        _check_type(config, binding)
    return config


def override_config(config: Config, bindings: Sequence[Binding]) -> Config:
    """Adds bindings, which win, to `config`.

    Raises:
        UserError: as `build_config`.
    """
    return build_config(Statements((*config.bindings.values(), *bindings), config.imports))


def operative_config(config: Config, command: str) -> Config:
    """Returns the part of `config` that `command` uses; running it again repeats the run.

    Raises:
        UserError: A value that the command needs is not set or is for another command, or a binding
            of the command line has no effect on it.
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
                others = ", ".join(commands_reading(item.name))
                raise UserError(f"{binding.place}: {item} is for {others}, not for {command!r}")
    _check_parameters_are_bound(used, command)
    for key, binding in config.bindings.items():
        if binding.from_command_line and key not in used.bindings and key != SWEEP:
            others = ", ".join(commands_reading(key.unscoped))
            reason = (
                f"; it is for {others}" if others else nearest(str(key), map(str, used.bindings))
            )
            raise UserError(f"{binding.place}: it has no effect on {command!r}{reason}")
    return used


def build_arguments(config: Config, command: str) -> dict[str, Any]:
    """Makes what `command` uses gin's whole configuration, and builds the command's arguments.

    Raises:
        UserError: as `operative_config` does, or from what a reference calls.
    """
    gin.clear_config()
    gin.parse_config(bindings_text(operative_config(config, command)))
    return gin.get_bindings(command)


def build_arguments_alone(config: Config, command: str) -> dict[str, Any]:
    """Builds arguments as `build_arguments` does, but leaves gin's configuration unchanged."""
    # gin can print its configuration publicly, but not read back all that it prints.
    before = {key: dict(bound) for key, bound in gin.config._CONFIG.items()}
    imports, locked = set(gin.config._IMPORTS), gin.config_is_locked()
    try:
        return build_arguments(config, command)
    finally:
        gin.clear_config()
        gin.config._CONFIG.update(before)
        gin.config._IMPORTS.update(imports)
        gin.config._set_config_is_locked(locked)


def _check_macros_have_values(config: Config) -> None:
    for binding in config.bindings.values():
        for item in flatten(binding.value):
            if _is_unset(item, config) and item.name not in shipped_settings():
                close = nearest(item.name, (str(key) for key in config.bindings if key.is_macro))
                raise UserError(f"{binding.place}: the macro %{item.name} has no value{close}")


def _check_macros_are_used(config: Config, history: Sequence[Binding]) -> None:
    known = {*_macro_names(config.bindings.values()), *shipped_settings()}
    for key, binding in config.bindings.items():
        if key.is_macro and str(key) not in known:
            for before in history:
                now = config.bindings[before.key]
                if now is not before and str(key) in _macro_names([before]):
                    raise UserError(
                        f"{now.place}: {now.key} takes its value from the macro {key}, which "
                        f"nothing else uses; set {key} in its place"
                    )
            close = nearest(str(key), known)
            raise UserError(f"{binding.place}: nothing uses the macro {key}{close}")


def _macro_names(bindings: Iterable[Binding]) -> Iterator[str]:
    for binding in bindings:
        for item in flatten(binding.value):
            if isinstance(item, Macro) and item != REQUIRED:
                yield item.name


def _check_type(config: Config, binding: Binding) -> None:
    value = config.resolve(binding.value)
    if binding.key.is_macro or not is_registered(binding.key.name):
        return
    parameter = gin_parameters(find_configurable(binding.key.name))[binding.key.parameter]
    if fits(value, parameter.annotation):
        return
    source = binding
    while isinstance(source.value, Macro) and (macro := config.macro(source.value.name)):
        source = macro
    through = "" if source is binding else f" ({binding.key} uses it)"
    raise UserError(
        f"{source.place}: {source.key}{through} must be {type_name(parameter.annotation)}, "
        f"not {source.value!r}"
    )


def _check_parameters_are_bound(used: Config, command: str) -> None:
    """Checks that the command, and each reference that gin calls, has all its parameters."""
    values = [item for binding in used.bindings.values() for item in flatten(binding.value)]
    called = [item for item in values if isinstance(item, Reference) and item.evaluate]
    for reference in [Reference("", command, evaluate=True), *called]:
        bound = {key.parameter for key in used.bindings if key.name == reference.name}
        for name, parameter in gin_parameters(find_configurable(reference.name)).items():
            variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if parameter.default is parameter.empty and not variadic and name not in bound:
                key = Key(reference.scope, reference.name, name)
                raise UserError(f"{key} is not set; {_how_to_set(key)}")


def _how_to_set(key: Key) -> str:
    return f"add --gin.{key}=VALUE, or bind it in a gin file"


def _is_unset(item: Any, config: Config) -> bool:
    return isinstance(item, Macro) and item != REQUIRED and config.macro(item.name) is None
