"""From gin files to one checked configuration of one command, and into gin.

A command is a function that `gin.configurable` registered; gin reaches its parameters, and what its
values refer to, and nothing else. So every mistake can be found before anything runs: gin itself
accepts a misspelt macro, and a parameter that no call consumes, without a word.
"""

import dataclasses
import functools
import inspect
import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gin
import gin.config

from prompt_tuning.cli import configuration, gin_files
from prompt_tuning.cli.configuration import Config, flatten, used_by
from prompt_tuning.cli.gin_files import (
    DYNAMIC_REGISTRATION,
    REQUIRED,
    Binding,
    Key,
    Macro,
    Reference,
    Statements,
)
from prompt_tuning.cli.value_types import fits, type_name
from prompt_tuning.types import UserError, nearest

COMMAND_LINE_PARAMETERS = ("dry_run", "tfds_data_dir", "library", "operative_config")
"""Parameters that a command may have and that the command line sets, not gin."""
SWEEP = "SWEEP"
"""The macro that no parameter uses: the command line reads it (`sweep.py`)."""

_NONE: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def parse(files: Sequence[str], bindings: Sequence[str], search_paths: Sequence[str]) -> Config:
    """Reads files and `NAME=VALUE` bindings, later ones winning, and checks every name and type.

    Raises:
        UserError: for a missing file or a syntax error, or as `check` does.
    """
    return check(gin_files.read(files, bindings, search_paths))


def check(statements: Statements, shipped: Mapping[str, tuple[str, ...]] = _NONE) -> Config:
    """Keeps the last binding of every key, and checks every name and type.

    What only other commands read is left out, unless it is on the command line.

    Args:
        statements: What was read.
        shipped: What the project's own files bind, as `Config` has it; its macros need no use.

    Raises:
        UserError: for an unknown configurable or parameter, a value of a wrong type, a macro that
            nothing uses or that has no value; it names the place and the nearest names that exist.
    """
    names = _Names(statements.imports, shipped)
    known = [item for binding in statements.bindings for item in names.resolve(binding)]
    config = Config({binding.key: binding for binding in known}, statements.imports, shipped)
    _check_macros(config, known)
    for binding in config.bindings.values():
        if not binding.key.is_macro and _REGISTRY.matching_selectors(binding.key.name):
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
    for key, users in configuration.unset(used):
        purpose = f" ({', '.join(map(str, users))} uses it)" if users else ""
        raise UserError(f"{key}{purpose} is not set; {_how_to_set(key)}")
    for binding in used.bindings.values():
        for item in flatten(binding.value):
            unknown = isinstance(item, Reference) and not _REGISTRY.matching_selectors(item.name)
            if unknown or _is_unset(item, config):
                commands = ", ".join(_commands(item.name, config.shipped))
                raise UserError(f"{binding.place}: {item} is for {commands}, not for {command!r}")
    _check_parameters_are_bound(used, command)
    for key, binding in config.bindings.items():
        if binding.from_command_line and key not in used.bindings and str(key) != SWEEP:
            close = nearest(str(key), map(str, used.bindings))
            commands = _commands(str(dataclasses.replace(key, scope="")), config.shipped)
            reason = f"; it is for {', '.join(commands)}" if commands else close
            raise UserError(f"{binding.place}: it has no effect on {command!r}{reason}")
    return used


def operative_config(config: Config, command: str) -> str:
    """Writes what `command` uses as the text of a gin file; see `operative`."""
    return configuration.text(operative(config, command))


def arguments(config: Config, command: str) -> dict[str, Any]:
    """Gives gin what `command` uses as its whole configuration, and returns the arguments.

    References and macros among the values are resolved.

    Raises:
        UserError: as `operative` does, or from what a reference calls.
    """
    gin.clear_config()
    gin.parse_config(configuration.bindings_text(operative(config, command)))
    return gin.get_bindings(command)


# gin can look up one name publicly, but cannot list its names, which the nearest ones need.
_REGISTRY = gin.config._REGISTRY


def configurables() -> dict[str, Callable[..., Any]]:
    """Returns every function and class registered with gin, by its shortest unambiguous name."""
    return {
        _REGISTRY.minimal_selector(selector): item.wrapped
        for selector, item in _REGISTRY.items()
        if item.module != "gin"
    }


def configurable(name: str) -> Callable[..., Any]:
    """Returns what is registered with gin under a name that is not ambiguous."""
    (selector,) = _REGISTRY.matching_selectors(name)
    return _REGISTRY[selector].wrapped


@functools.cache
def gin_parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Returns the parameters of a configurable that gin may bind, annotations evaluated."""
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except NameError:  # A user's annotation that only type checkers can see.
        parameters = inspect.signature(function).parameters
    return {name: p for name, p in parameters.items() if name not in COMMAND_LINE_PARAMETERS}


@dataclasses.dataclass(frozen=True)
class _Names:
    """Finds what names in gin files mean.

    Attributes:
        imports: Modules that the files import.
        shipped: What the project's own files bind, as `Config` has it.
    """

    imports: tuple[str, ...]
    shipped: Mapping[str, tuple[str, ...]]

    def resolve(self, binding: Binding) -> Iterator[Binding]:
        """Yields `binding` with the names that gin knows; nothing where no command here reads it.

        Raises:
            UserError: An unknown name or parameter.
        """
        key, place = binding.key, binding.place
        if key.is_macro:
            yield dataclasses.replace(binding, value=self._rename(binding.value, place))
            return
        key = dataclasses.replace(key, name=self._name(key.name, place))
        if key.parameter in COMMAND_LINE_PARAMETERS:
            raise UserError(f"{place}: {key} is set by the flags of the command line, not by gin")
        registered = bool(_REGISTRY.matching_selectors(key.name))
        parameters = gin_parameters(configurable(key.name)) if registered else self._of(key.name)
        if key.parameter not in parameters:
            close = nearest(key.parameter, parameters)
            raise UserError(f"{place}: {key.name} has no parameter {key.parameter!r}{close}")
        if registered or binding.from_command_line:  # Which must have an effect: see `operative`.
            yield dataclasses.replace(binding, key=key, value=self._rename(binding.value, place))

    def _rename(self, value: Any, place: str) -> Any:
        if isinstance(value, Reference):
            return dataclasses.replace(value, name=self._name(value.name, place))
        if isinstance(value, dict):
            return {key: self._rename(item, place) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._rename(item, place) for item in value)
        return value

    def _name(self, name: str, place: str) -> str:
        """Returns the shortest name; the full one where an import must be repeated to find it."""
        matches = _REGISTRY.matching_selectors(name) or self._register(name)
        if len(matches) > 1:
            raise UserError(f"{place}: {name!r} is ambiguous; write one of {', '.join(matches)}")
        if matches:
            own = matches[0].partition(".")[0] in self._packages
            return matches[0] if own else _REGISTRY.minimal_selector(matches[0])
        if self._of(name):
            return name
        reason = nearest(name, {*configurables(), *(key.partition(".")[0] for key in self.shipped)})
        if name.partition(".")[0] in self._packages:
            reason = "; decorate it with gin.configurable, or begin the file with "
            reason += "`from __gin__ import dynamic_registration`"
        raise UserError(f"{place}: nothing configurable is called {name!r}{reason}")

    def _of(self, name: str) -> list[str]:
        """Returns the parameters that the project's own files bind of a configurable."""
        keys = [key for key in self.shipped if key.startswith(f"{name}.")]
        return [key.rpartition(".")[2] for key in keys]

    @property
    def _packages(self) -> set[str]:
        """Returns the top packages, other than this one, of what the files import."""
        return {module.partition(".")[0] for module in self.imports} - {"prompt_tuning"}

    def _register(self, name: str) -> list[str]:
        """Registers what `name` means among the imports, as gin's dynamic registration does."""
        packages = {module.partition(".")[0] for module in self.imports}
        if DYNAMIC_REGISTRATION not in self.imports or name.partition(".")[0] not in packages:
            return []
        module = name
        while module not in sys.modules:
            module = module.rpartition(".")[0]
        try:
            item = operator.attrgetter(name.removeprefix(f"{module}."))(sys.modules[module])
        except AttributeError:
            return []
        for selector, registered in _REGISTRY.items():
            if item is registered.wrapped or item is registered.wrapper:
                return [selector]
        with gin.unlock_config():
            gin.external_configurable(item, module=name.rpartition(".")[0])
        return [name]


def _commands(name: str, shipped: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Returns which commands alone read a macro, a parameter, or those of a configurable."""
    keys = [key for key in shipped if key == name or key.startswith(f"{name}.")]
    return sorted({command for key in keys for command in shipped[key]})


def _is_unset(item: Any, config: Config) -> bool:
    return isinstance(item, Macro) and item != REQUIRED and config.macro(item.name) is None


def _unscoped(key: Key) -> str:
    return str(dataclasses.replace(key, scope=""))


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
