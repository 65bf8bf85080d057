"""Reading gin files: statements as plain data, each with the place it was written.

The dialect is gin's, with `import a.b`, `import a.b as c` and `from a import b`; a name that
begins with what one of these binds means what it would in Python.
"""

import dataclasses
import importlib
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gin import config_parser

import prompt_tuning
from prompt_tuning.types import UserError, nearest


@dataclasses.dataclass(frozen=True)
class Macro:
    """A use of a macro, `%NAME`, as a value."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclasses.dataclass(frozen=True)
class Reference:
    """A use of a configurable as a value: `@scope/name`, or its result, `@scope/name()`."""

    scope: str
    name: str
    evaluate: bool

    def __repr__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        return f"@{scope}{self.name}{'()' if self.evaluate else ''}"


REQUIRED = Macro("gin.REQUIRED")


@dataclasses.dataclass(frozen=True)
class Key:
    """What a binding sets: `parameter` of the configurable `name`, or a macro (no parameter)."""

    scope: str
    name: str
    parameter: str

    def __str__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        return f"{scope}{self.name}{'.' if self.parameter else ''}{self.parameter}"

    @property
    def is_macro(self) -> bool:
        return not self.parameter

    @property
    def unscoped(self) -> str:
        """Returns the key as text, without its scope."""
        return str(dataclasses.replace(self, scope=""))


@dataclasses.dataclass(frozen=True)
class Binding:
    """One `key = value`, its place (`file:line`, or the flag) and the comment on its line."""

    key: Key
    value: Any
    place: str
    comment: str

    @property
    def from_command_line(self) -> bool:
        return self.place.startswith("--gin.")


@dataclasses.dataclass(frozen=True)
class Statements:
    """All bindings in the order they were read, and the modules that the files import.

    `DYNAMIC_REGISTRATION` is first among the imports where a file has it.
    """

    bindings: tuple[Binding, ...]
    imports: tuple[str, ...]


DYNAMIC_REGISTRATION = "__gin__.dynamic_registration"

_PLAIN = re.compile(r"[\w./~:-]+")
_NAME = re.compile(r"[A-Za-z_][\w./]*")


def configs_directory() -> Path:
    """Returns the directory of `defaults.gin`: `configs/` of a checkout, or its copy in a wheel."""
    package = Path(prompt_tuning.__file__).parent
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parent / "configs"


def read(files: Sequence[str], bindings: Sequence[str], search_paths: Sequence[str]) -> Statements:
    """Reads gin files, in order and with what they include, then `NAME=VALUE` bindings.

    A file of `files` is looked up in the working directory, then in `search_paths`, then among the
    project's configs; an included file is looked up beside the file that includes it first.

    Raises:
        UserError: for a missing or unreadable file, a syntax error or a module that cannot be
            imported, with the file and line.
    """
    items: list[Binding | str] = []
    for file in files:
        items += _read_file(_locate(file, [Path()], search_paths, "--gin_file"), search_paths, ())
    for binding in bindings:
        items += _read_flag(binding)
    imports = dict.fromkeys(item for item in items if isinstance(item, str))
    return Statements(
        bindings=tuple(item for item in items if isinstance(item, Binding)),
        imports=tuple(sorted(imports, key=lambda module: module != DYNAMIC_REGISTRATION)),
    )


def setting(name: str, value: Any, place: str) -> Binding:
    """Returns the binding of `name`, written as in a gin file, to a value that is read already.

    Raises:
        UserError: for a name that no gin file could bind.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{place}: {name!r} is not the name of a macro or a parameter")
    (statement,) = _parse(f"{name} = None", place, _Names())
    return dataclasses.replace(_binding(statement, place, _Names()), value=value)


class _Names(config_parser.ParserDelegate):
    """Makes gin's parser return `Macro` and `Reference`, so that reading needs no configurables.

    Names that begin with one that an import of the file binds are completed.
    """

    def __init__(self):
        self._modules: dict[str, str] = {}

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        scope, _, name = scoped_configurable_name.rpartition("/")
        return Reference(scope, self.complete(name), evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)

    def complete(self, name: str) -> str:
        """Returns the full name of what `name` means in the file."""
        first, dot, rest = name.partition(".")
        return f"{self._modules[first]}.{rest}" if dot and first in self._modules else name

    def add(self, statement: config_parser.ImportStatement) -> None:
        """Binds what `statement` imports."""
        whole = statement.is_from or statement.alias
        name = statement.bound_name()
        self._modules[name] = statement.module if whole else name


def _read_file(
    path: Path, search_paths: Sequence[str], including: tuple[Path, ...]
) -> Iterator[Binding | str]:
    if path in including:
        raise UserError(f"{path}: the file includes itself; remove one of the include lines")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not text" if isinstance(error, ValueError) else error.strerror
        raise UserError(f"{path}: cannot read this gin file: {reason}") from None
    names = _Names()
    for statement in _parse(text, str(path), names):
        place = f"{path}:{statement.location.line_num}"
        match statement:
            case config_parser.BindingStatement():
                yield _binding(statement, place, names)
            case config_parser.ImportStatement():
                names.add(statement)
                yield _import(statement, place)
            case config_parser.IncludeStatement():
                beside = [path.parent, *map(Path, search_paths), Path()]
                included = _locate(statement.filename, beside, [], place)
                yield from _read_file(included, search_paths, (*including, path))


def _read_flag(binding: str) -> Iterator[Binding]:
    name, equals, value = binding.partition("=")
    place = f"--gin.{name.strip()}"
    if not _NAME.fullmatch(name.strip()):
        raise UserError(f"{place}: {name.strip()!r} is not a name; write --gin.NAME=VALUE")
    if not equals:
        raise UserError(f"{place}: no value; write {place}=VALUE")
    try:
        statements = list(_parse(binding, place, _Names()))
    except UserError:
        example = value.strip() if _PLAIN.fullmatch(value.strip()) else "text"
        raise UserError(
            f"{place}: cannot read the value {value.strip()!r}; numbers are plain, strings need "
            f"quotes that reach the program, as in {place}=\"'{example}'\""
        ) from None
    for statement in statements:
        if not isinstance(statement, config_parser.BindingStatement):
            raise UserError(f"{place}: only NAME=VALUE can be set on the command line")
        yield _binding(statement, place, _Names())


def _parse(text: str, file: str, names: _Names) -> Iterator[Any]:
    last = 0
    try:
        for statement in config_parser.ConfigParser(io.StringIO(text), names):
            last = statement.location.line_num
            yield statement
    except SyntaxError as error:
        # gin's own errors have a gin location as second argument, Python's a tuple of their own.
        message, *location = error.args
        line = location[0][1] if location else error.lineno
        reason = " ".join(str(message).split())
        raise UserError(f"{file}:{line}: gin syntax error: {reason}") from None
    except tokenize.TokenError as error:
        reason, (line, _) = error.args
        if "EOF in multi-line" in reason:
            line, reason = last + 1, "a bracket or quote is not closed"
        raise UserError(f"{file}:{line}: gin syntax error: {reason}") from None
    except TypeError as error:
        raise UserError(f"{file}:{last + 1}: gin syntax error: {error} in a dictionary") from None


def _binding(statement: config_parser.BindingStatement, place: str, names: _Names) -> Binding:
    key = Key(statement.scope, names.complete(statement.selector), statement.arg_name)
    if statement.value in (float("inf"), float("-inf")):
        raise UserError(f"{place}: {key} is too large for a number")
    comment = statement.location.line_content.partition("  # ")[2].strip()
    return Binding(key, statement.value, place, comment)


def _import(statement: config_parser.ImportStatement, place: str) -> str:
    try:
        if statement.module != DYNAMIC_REGISTRATION:
            importlib.import_module(statement.module)
    except ImportError as error:
        raise UserError(
            f"{place}: cannot import {statement.module!r}: {error}; "
            "install it or put its directory on PYTHONPATH"
        ) from None
    return statement.module


def _locate(
    name: str, directories: Sequence[Path], search_paths: Sequence[str], place: str
) -> Path:
    configs = configs_directory()
    roots = [*directories, *map(Path, search_paths), configs, configs.parent]
    for root in roots:
        path = root / name
        if path.is_file():
            return path
    known = {file.relative_to(configs).as_posix() for file in configs.rglob("*.gin")}
    close = nearest(name.removeprefix("configs/"), known)
    searched = ", ".join(dict.fromkeys(str(root) for root in roots))
    raise UserError(f"{place}: gin file {name!r} not found{close}; searched {searched}")
