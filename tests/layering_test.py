"""Imports run one way, from `types` to `cli`, and two walls hold."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import prompt_tuning

PACKAGE = Path(prompt_tuning.__file__).parent
LEVELS = {
    "types": 0,
    "storage": 0,
    "prompts": 1,
    "parameterizations": 2,
    "models": 3,
    "data": 3,
    "training": 4,
    "mini": 4,
    "transfer": 5,
    "projection": 5,
    "analysis": 6,
    "cli": 7,
    "api": 8,
    "configurables": 8,
}
GIN_ROOMS = ("cli", "configurables")
"""The second is for stock gin: what to import before it reads our files."""
LIGHT_ROOMS = ("models", "parameterizations", "prompts", "training")
PUBLIC = "__init__.py"
"""The package's own file: its names load when they are asked for, by `importlib` in a function, and
only type checkers see where from."""
FILES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    """Returns the room of a file: the name below the package."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str, package: str) -> Iterator[str]:
    """Yields the full name of every module that `source`, of `package`, imports anywhere."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level]
            base = ".".join(
                [*(parents if node.level else []), *([node.module] if node.module else [])]
            )
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imports_at_start(source: str) -> set[str]:
    """Returns the modules that `source` imports when it is itself imported."""
    statements = ast.parse(source).body
    names: set[str] = set()
    for node in statements:
        checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not checkers and not isinstance(node, ast.FunctionDef):
            names |= {name.partition(".")[0] for name in imports(ast.unparse(node), "")}
    return names


def breaches(source: str, of_room: str) -> list[str]:
    """Returns the imports that a file of `of_room` must not have."""
    wrong = []
    for name in imports(source, f"prompt_tuning.{of_room}"):
        top, *rest = name.split(".")
        if top == "prompt_tuning" and rest and rest[0] in LEVELS:
            sideways = LEVELS[rest[0]] == LEVELS[of_room] and rest[0] != of_room
            if sideways or LEVELS[rest[0]] > LEVELS[of_room]:
                wrong.append(name)
        if top == "gin" and of_room not in GIN_ROOMS:
            wrong.append(name)
        heavy = ("tensorflow", "tensorflow_datasets", "tensorflow_text", "seqio")
        if top in heavy and of_room in LIGHT_ROOMS:
            wrong.append(name)
    return wrong


def test_files_import_only_what_is_below_them():
    wrong = []
    for file in FILES:
        name, source = file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")
        if name == PUBLIC:
            wrong += [f"{name}: {module}" for module in imports_at_start(source) - {"typing"}]
        elif room(file) not in LEVELS:
            wrong.append(f"{name}: is in no room of LEVELS")
        elif file.name == "__init__.py":  # Packages import nothing by themselves.
            wrong += [f"{name}: {module}" for module in imports(source, "prompt_tuning")]
        else:
            wrong += [f"{name}: {module}" for module in breaches(source, room(file))]
    assert not wrong, "\n".join(wrong)


def test_what_a_function_or_a_type_checker_imports_does_not_load_at_the_start():
    source = "import os.path\nif TYPE_CHECKING:\n    import jax\ndef f():\n    import gin"
    assert imports_at_start(source) == {"os"}
    assert imports_at_start("try:\n    import jax\nexcept ImportError:\n    pass") == {"jax"}


@pytest.mark.parametrize(
    ("source", "of_room", "wrong"),
    [
        ("from prompt_tuning.models import t5", "prompts", ["prompt_tuning.models.t5"]),
        ("from ..data import cache", "models", ["prompt_tuning.data.cache"]),
        ("def f():\n    import seqio", "training", ["seqio"]),
        ("import tensorflow as tf", "data", []),
        ("import gin", "analysis", ["gin"]),
        ("import gin", "api", ["gin"]),
        ("from prompt_tuning import api", "cli", ["prompt_tuning.api"]),
        ("from prompt_tuning import cli", "types", ["prompt_tuning.cli"]),
        ("from prompt_tuning import types", "storage", ["prompt_tuning.types"]),
        ("from prompt_tuning.types import Array", "prompts", []),
    ],
)
def test_the_check_sees_breaches(source, of_room, wrong):
    assert breaches(source, of_room) == wrong
