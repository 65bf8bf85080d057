"""Reads gin files into plain data: each statement with its file and line.

gin's parser reads them, but nothing is looked up or registered yet. The dialect is gin's, with
`import a.b`, `import a.b as c` and `from a import b`; a name that starts with an imported one means
what it would in Python.
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
    """A macro used as a value: `%NAME`."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


@dataclasses.dataclass(frozen=True)
class Reference:
    """A configurable used as a value: `@scope/name`, or its result, `@scope/name()`."""

    scope: str
    name: str
    evaluate: bool

    def __repr__(self) -> str:
        scope = f"{self.scope}/" if self.scope else ""
        return f"@{scope}{self.name}{'()' if self.evaluate else ''}"


REQUIRED = Macro("gin.REQUIRED")


@dataclasses.dataclass(frozen=True)
class Key:
    """The left side of a binding: `scope/name.parameter`, or `scope/name` for a macro."""

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
    """All bindings and imported modules, in the order they were read."""

    bindings: tuple[Binding, ...]
    imports: tuple[str, ...]


DYNAMIC_REGISTRATION = "__gin__.dynamic_registration"
"""The import that makes gin register what other imports offer."""

_NEEDS_QUOTES = re.compile(r"[\w./~:-]+")
_NAME = re.compile(r"[A-Za-z_]\w*([./][A-Za-z_]\w*)*")


def configs_directory() -> Path:
    """Returns the directory of `defaults.gin`: `configs/` of a checkout, or its copy in a wheel."""
    package = Path(prompt_tuning.__file__).parent
    packaged = package / "configs"
    return packaged if packaged.is_dir() else package.parent / "configs"


def read_gin_files(
    files: Sequence[str], bindings: Sequence[str] = (), search_paths: Sequence[str] = ()
) -> Statements:
    """Reads gin files and their includes, in order, then `NAME=VALUE` bindings.

    Files are looked up in the working directory, then in `search_paths`, then in the project's
    configs; an included file is looked up beside the including one first.

    Raises:
        UserError: A file is missing or unreadable, has a syntax error, or imports a module that
            cannot be imported; the message has file and line.
    """
    items: list[Binding | str] = []
    for file in files:
        path = _find_file(file, [Path(), *map(Path, search_paths)], "--gin_file")
        items += _read_file(path, search_paths, ())
    items += map(_read_flag, bindings)
    return Statements(
        bindings=tuple(item for item in items if isinstance(item, Binding)),
        imports=tuple(dict.fromkeys(item for item in items if isinstance(item, str))),
    )


def make_binding(name: str, value: Any, place: str) -> Binding:
    """Returns the binding of `name`, written as in a gin file, to a value.

    Raises:
        UserError: No gin file could bind this name.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"{place}: {name!r} is not the name of a macro or a parameter")
    return Binding(Key(*config_parser.parse_binding_key(name)), value, place, "")


class _Names(config_parser.ParserDelegate):
    """Makes gin's parser return `Macro` and `Reference`, with names completed by the imports."""

    def __init__(self):
        self._modules: dict[str, str] = {}

    def configurable_reference(self, scoped_configurable_name: str, evaluate: bool) -> Reference:
        scope, _, name = scoped_configurable_name.rpartition("/")
        return Reference(scope, self.complete(name), evaluate)

    def macro(self, macro_name: str) -> Macro:
        return Macro(macro_name)

    def complete(self, name: str) -> str:
        """Returns a name of the file in full, from its top package on."""
        first, dot, rest = name.partition(".")
        return f"{self._modules[first]}.{rest}" if dot and first in self._modules else name

    def add(self, statement: config_parser.ImportStatement) -> None:
        """Records the name that an import binds."""
        name = statement.bound_name()
        self._modules[name] = statement.module if statement.is_from or statement.alias else name


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
                _import(statement.module, place)
                yield statement.module
            case config_parser.IncludeStatement():
                beside = [path.parent, *map(Path, search_paths), Path()]
                included = _find_file(statement.filename, beside, place)
                yield from _read_file(included, search_paths, (*including, path))


def _read_flag(text: str) -> Binding:
    name, equals, value = (part.strip() for part in text.partition("="))
    place = f"--gin.{name}"
    if not _NAME.fullmatch(name):
        raise UserError(f"{place}: {name!r} is not a name; write --gin.NAME=VALUE")
    if not equals:
        raise UserError(f"{place}: no value; write {place}=VALUE")
    names = _Names()
    try:
        (statement,) = _parse(text, place, names)
    except (UserError, ValueError):
        example = value if _NEEDS_QUOTES.fullmatch(value) else "text"
        raise UserError(
            f"{place}: cannot read the value {value!r}; numbers are plain, strings need "
            f"quotes that reach the program, as in {place}=\"'{example}'\""
        ) from None
    return _binding(statement, place, names)


def _parse(text: str, file: str, names: _Names) -> Iterator[Any]:
    last = 0
    try:
        for statement in config_parser.ConfigParser(io.StringIO(text), names):
            last = statement.location.line_num
            yield statement
    except SyntaxError as error:
        # The second argument is a location of gin's in gin's own errors, else a tuple of Python's.
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


def _import(module: str, place: str) -> None:
    if module == DYNAMIC_REGISTRATION:
        return
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"{place}: cannot import {module!r}: {error}; "
            "install it or put its directory on PYTHONPATH"
        ) from None


def _find_file(name: str, directories: Sequence[Path], place: str) -> Path:
    configs = configs_directory()
    roots = [*directories, configs, configs.parent]
    for root in roots:
        path = root / name
        if path.is_file():
            return path
    known = {file.relative_to(configs).as_posix() for file in configs.rglob("*.gin")}
    close = nearest(name.removeprefix("configs/"), known)
    searched = ", ".join(dict.fromkeys(str(root) for root in roots))
    raise UserError(f"{place}: gin file {name!r} not found{close}; searched {searched}")
