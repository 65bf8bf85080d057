"""Finds what names in gin files mean.

A name may be registered with gin, offered by an import, or set by one of the project's own files
for a command whose module is not imported.
"""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gin
import gin.config

from prompt_tuning.cli.commands import COMMANDS, Command, with_variants
from prompt_tuning.cli.configuration import flatten, map_items
from prompt_tuning.cli.gin_files import (
    DYNAMIC_REGISTRATION,
    Binding,
    Reference,
    configs_directory,
    read_gin_files,
)
from prompt_tuning.types import UserError, nearest

COMMAND_LINE_PARAMETERS = ("flags", "dry_run", "tfds_data_dir", "library", "operative_config")
"""Parameters of commands that the command line sets, not gin."""

# gin can look up one name publicly, but not list its names, which the nearest ones need.
_REGISTRY = gin.config._REGISTRY


def all_configurables() -> dict[str, Callable[..., Any]]:
    """Returns every function and class registered with gin, by its shortest unambiguous name."""
    return {
        _REGISTRY.minimal_selector(selector): item.wrapped
        for selector, item in _REGISTRY.items()
        if item.module != "gin"
    }


def is_registered(name: str) -> bool:
    """Returns whether gin knows `name`."""
    return bool(_REGISTRY.matching_selectors(name))


def find_configurable(name: str) -> Callable[..., Any]:
    """Returns the function or class registered with gin under an unambiguous name."""
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


def default_files(command: Command) -> list[str]:
    """Returns the gin files that a command always reads: `defaults.gin` and its own."""
    return _existing("defaults.gin", command.defaults)


def _existing(*files: str) -> list[str]:
    paths = [configs_directory() / file for file in files]
    return [str(path) for path in paths if path.is_file()]


@functools.cache
def shipped_settings() -> Mapping[str, tuple[str, ...]]:
    """Returns the commands that read each setting of the project's own files; none if all do.

    A setting is `MACRO` or `name.parameter`, without scope.
    """
    shared = {
        binding.key.unscoped for binding in read_gin_files(_existing("defaults.gin")).bindings
    }
    readers: dict[str, tuple[str, ...]] = dict.fromkeys(shared, ())
    for name, command in with_variants(COMMANDS):
        bindings = read_gin_files(_existing(command.defaults)).bindings
        for key in {binding.key.unscoped for binding in bindings} - shared:
            readers[key] = (*readers.get(key, ()), name)
    return readers


def commands_reading(name: str) -> list[str]:
    """Returns the only commands that read a macro, a parameter, or those of a configurable."""
    settings = shipped_settings()
    keys = [key for key in settings if key == name or key.startswith(f"{name}.")]
    return sorted({command for key in keys for command in settings[key]})


@dataclasses.dataclass(frozen=True)
class Names:
    """Resolves the names in gin files.

    Attributes:
        imports: Modules that the files import.
    """

    imports: tuple[str, ...]

    def register(self, binding: Binding) -> None:
        """Registers what `binding` names in imported modules, as gin's dynamic registration does.

        Call it with all bindings before `resolve`: the shortest name depends on all of them.
        """
        references = (item for item in flatten(binding.value) if isinstance(item, Reference))
        for name in (binding.key.name, *(item.name for item in references)):
            item = self._imported(name)
            if item is not None and not self._selectors(name):
                with gin.unlock_config():
                    gin.external_configurable(item, module=name.rpartition(".")[0])

    def resolve(self, binding: Binding) -> Iterator[Binding]:
        """Yields `binding` with gin's names; yields nothing if only other commands read it.

        Raises:
            UserError: An unknown name or parameter.
        """
        key, place = binding.key, binding.place
        if key.is_macro:
            yield dataclasses.replace(binding, value=self._rename(binding.value, place))
            return
        key = dataclasses.replace(key, name=self._full_name(key.name, place))
        if key.parameter in COMMAND_LINE_PARAMETERS:
            raise UserError(f"{place}: {key} is set by the flags of the command line, not by gin")
        registered = is_registered(key.name)
        parameters = list(gin_parameters(find_configurable(key.name))) if registered else []
        parameters = parameters or _shipped_parameters(key.name)
        if key.parameter not in parameters:
            close = nearest(key.parameter, parameters)
            raise UserError(f"{place}: {key.name} has no parameter {key.parameter!r}{close}")
        if registered or binding.from_command_line:  # `operative_config` refuses the latter.
            yield dataclasses.replace(binding, key=key, value=self._rename(binding.value, place))

    def _rename(self, value: Any, place: str) -> Any:
        def of_item(item: Any) -> Any:
            if isinstance(item, Reference):
                return dataclasses.replace(item, name=self._full_name(item.name, place))
            return item

        return map_items(value, of_item)

    def _full_name(self, name: str, place: str) -> str:
        """Returns the full name of something imported, else the shortest that gin knows."""
        matches = self._selectors(name)
        if len(matches) > 1:  # A user's class may have the name of one of ours, written in full.
            matches = [match for match in matches if match.startswith("prompt_tuning.")] or matches
        if len(matches) > 1:
            raise UserError(f"{place}: {name!r} is ambiguous; write one of {', '.join(matches)}")
        if matches:
            imported = matches[0].partition(".")[0] in self._packages
            return matches[0] if imported else _REGISTRY.minimal_selector(matches[0])
        if _shipped_parameters(name):
            return name
        known = {*all_configurables(), *(key.partition(".")[0] for key in shipped_settings())}
        reason = nearest(name, known)
        if name.partition(".")[0] in self._packages and DYNAMIC_REGISTRATION not in self.imports:
            reason = "; decorate it with gin.configurable, or begin the file with "
            reason += "`from __gin__ import dynamic_registration`"
        raise UserError(f"{place}: nothing configurable is called {name!r}{reason}")

    @property
    def _packages(self) -> set[str]:
        """Returns the top packages of the user's own that the files import."""
        packages = {module.partition(".")[0] for module in self.imports}
        return packages - {"prompt_tuning", DYNAMIC_REGISTRATION.partition(".")[0]}

    def _selectors(self, name: str) -> list[str]:
        """Returns gin's full names for what `name` may mean."""
        item = self._imported(name)
        return _REGISTRY.matching_selectors(name) or [
            selector
            for selector, registered in _REGISTRY.items()
            if item is not None and item in (registered.wrapped, registered.wrapper)
        ]

    def _imported(self, name: str) -> Callable[..., Any] | None:
        """Returns the function or class that `name` is among the imports, None if there is none."""
        packages = {*self._packages, "prompt_tuning"}
        if DYNAMIC_REGISTRATION not in self.imports or name.partition(".")[0] not in packages:
            return None
        module = name
        while module not in sys.modules:
            module = module.rpartition(".")[0]
        item: Any = sys.modules[module]
        for attribute in name.removeprefix(module).split(".")[1:]:
            item = getattr(item, attribute, None)
        return item if callable(item) else None


def _shipped_parameters(name: str) -> list[str]:
    """Returns the parameters of a configurable that the project's own files bind."""
    keys = [key for key in shipped_settings() if key.startswith(f"{name}.")]
    return [key.rpartition(".")[2] for key in keys]
