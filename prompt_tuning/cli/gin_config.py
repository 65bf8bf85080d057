"""From gin files to one checked configuration of one command, and into gin.

A command is a function that `gin.configurable` registered; gin reaches its parameters, and what its
values refer to, and nothing else. So every mistake can be found before anything runs: gin itself
accepts a misspelt macro, and a parameter that no call consumes, without a word.
"""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import gin
import gin.config

from prompt_tuning.cli import configuration, gin_files
from prompt_tuning.cli.configuration import Config, flatten, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Binding, Key, Macro, Reference, Statements
from prompt_tuning.cli.value_types import fits, type_name
from prompt_tuning.types import UserError, nearest

COMMAND_LINE_PARAMETERS = ("dry_run", "tfds_data_dir", "library", "operative_config")
"""Parameters that a command may have and that the command line sets, not gin."""
SWEEP = "SWEEP"
"""The macro that no parameter uses: the command line reads it (`sweep.py`)."""


def parse(files: Sequence[str], bindings: Sequence[str], search_paths: Sequence[str]) -> Config:
    """Reads files and `NAME=VALUE` bindings, later ones winning, and checks every name and type.

    Raises:
        UserError: for a missing file or a syntax error, or as `check` does.
    """
    return check(gin_files.read(files, bindings, search_paths))


def check(statements: Statements) -> Config:
    """Merges what was read, later bindings winning, and checks every name and type.

    Raises:
        UserError: for an unknown configurable or parameter, a value of a wrong type, a macro that
            nothing uses or that has no value; it names the place and the nearest names that exist.
    """
    known = Statements(tuple(map(_with_known_names, statements.bindings)), statements.imports)
    config = configuration.merge(known)
    _check_macros(config, known)
    for binding in config.bindings.values():
        if not binding.key.is_macro:
            _check_type(config, binding)
    return config


def override(config: Config, bindings: Sequence[Binding]) -> Config:
    """Returns `config` with further bindings, which win; checks it as `check` does."""
    return check(Statements((*config.bindings.values(), *bindings), config.imports))


def operative(config: Config, command: str) -> Config:
    """Returns the part of `config` that `command` uses; running it again repeats the run.

    Raises:
        UserError: when a value that the command needs is not set, or when a binding of the command
            line has no effect on it.
    """
    used = used_by(config, command)
    for key, users in configuration.unset(used):
        purpose = f" ({', '.join(map(str, users))} uses it)" if users else ""
        raise UserError(f"{key}{purpose} is not set; {_how_to_set(key)}")
    _check_parameters_are_bound(used, command)
    for key, binding in config.bindings.items():
        swept = str(key) == SWEEP
        if binding.from_command_line and key not in used.bindings and not swept:
            close = nearest(str(key), map(str, used.bindings))
            raise UserError(f"{binding.place}: it has no effect on {command!r}{close}")
    return used


def operative_config(config: Config, command: str) -> str:
    """Writes what `command` uses as the text of a gin file; see `operative`."""
    return configuration.text(operative(config, command))


def arguments(operative_text: str, command: str) -> dict[str, Any]:
    """Gives gin this text as its whole configuration, and returns the arguments of `command`.

    References and macros among the values are resolved.
    """
    gin.clear_config()
    gin.parse_config(operative_text)
    return gin.get_bindings(command)


def configurables() -> dict[str, Callable[..., Any]]:
    """Returns every function and class registered with gin, by its shortest unambiguous name."""
    return {
        _REGISTRY.minimal_selector(selector): item.wrapped
        for selector, item in _REGISTRY.items()
        if item.module != "gin"
    }


def gin_parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a configurable that gin may bind, annotations evaluated."""
    parameters = inspect.signature(function, eval_str=True).parameters
    return {name: p for name, p in parameters.items() if name not in COMMAND_LINE_PARAMETERS}


# gin can look up one name publicly, but cannot list its names, which the nearest ones need.
_REGISTRY = gin.config._REGISTRY


def _with_known_names(binding: Binding) -> Binding:
    """Returns `binding` with the shortest names of configurables; raises for an unknown one."""
    value = _rename_references(binding.value, binding.place)
    key = binding.key
    if not key.is_macro:
        key = dataclasses.replace(key, name=_shortest(key.name, binding.place))
        _check_parameter(key, binding.place)
    return dataclasses.replace(binding, key=key, value=value)


def _rename_references(value: Any, place: str) -> Any:
    if isinstance(value, Reference):
        return dataclasses.replace(value, name=_shortest(value.name, place))
    if isinstance(value, dict):
        return {key: _rename_references(item, place) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_rename_references(item, place) for item in value)
    return value


def _shortest(name: str, place: str) -> str:
    matches = _REGISTRY.matching_selectors(name)
    if len(matches) > 1:
        raise UserError(f"{place}: {name!r} is ambiguous; write one of {', '.join(matches)}")
    if not matches:
        close = nearest(name, configurables())
        raise UserError(f"{place}: nothing configurable is called {name!r}{close}")
    return _REGISTRY.minimal_selector(matches[0])


def _check_parameter(key: Key, place: str) -> None:
    parameters = gin_parameters(configurables()[key.name])
    if key.parameter in COMMAND_LINE_PARAMETERS:
        raise UserError(f"{place}: {key} is set by the flags of the command line, not by gin")
    if key.parameter not in parameters:
        close = nearest(key.parameter, parameters)
        raise UserError(f"{place}: {key.name} has no parameter {key.parameter!r}{close}")


def _check_macros(config: Config, statements: Statements) -> None:
    """Raises for a macro used without a value, bound without a use, or defined by itself."""
    used: set[str] = set()
    bound = [str(key) for key in config.bindings if key.is_macro]
    for binding in config.bindings.values():
        for item in flatten(binding.value):
            if isinstance(item, Macro) and item != REQUIRED:
                used.add(item.name)
                if config.macro(item.name) is None:
                    close = nearest(item.name, bound)
                    raise UserError(f"{binding.place}: the macro %{item.name} has no value{close}")
    for key, binding in config.bindings.items():
        if key.is_macro and str(key) not in used and str(key) != SWEEP:
            _check_not_overridden(config, statements, key)
            close = nearest(str(key), used)
            raise UserError(f"{binding.place}: nothing uses the macro {key}{close}")
        if key.is_macro:
            _check_not_circular(config, binding, (str(key),))


def _check_not_overridden(config: Config, statements: Statements, macro: Key) -> None:
    """Raises for a parameter that took its value from a macro until a later binding set it."""
    for before in statements.bindings:
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
            assert following is not None
            _check_not_circular(config, following, (*path, item.name))


def _check_type(config: Config, binding: Binding) -> None:
    source: Binding | None = binding
    while source is not None and isinstance(source.value, Macro):
        source = config.macro(source.value.name)
    annotation = gin_parameters(configurables()[binding.key.name])[binding.key.parameter].annotation
    if source is not None and not fits(source.value, annotation):
        through = "" if source is binding else f" ({binding.key} uses it)"
        raise UserError(
            f"{source.place}: {source.key}{through} must be {type_name(annotation)}, "
            f"not {source.value!r}"
        )


def _check_parameters_are_bound(used: Config, command: str) -> None:
    """Raises for a parameter without a value, of the command or of a reference that gin calls."""
    values = [item for binding in used.bindings.values() for item in flatten(binding.value)]
    called = [item for item in values if isinstance(item, Reference) and item.evaluate]
    for reference in [Reference("", command, evaluate=True), *called]:
        bound = {key.parameter for key in used.bindings if key.name == reference.name}
        for name, parameter in gin_parameters(configurables()[reference.name]).items():
            variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
            if parameter.default is parameter.empty and not variadic and name not in bound:
                key = Key(reference.scope, reference.name, name)
                raise UserError(f"{key} is not set; {_how_to_set(key)}")


def _how_to_set(key: Key) -> str:
    return f"add --gin.{key}=VALUE, or bind it in a gin file"
