"""The source files a cached task was made from, so that a change of them is noticed."""

import ast
import functools
import hashlib
import importlib.util
import sysconfig
from collections.abc import Iterable
from pathlib import Path


def digests(modules: Iterable[str], packages: Iterable[str]) -> dict[str, str]:
    """Returns the SHA-256 of the source of each module and of all they import, by module name.

    Args:
        modules: Where to start.
        packages: Top-level packages to follow wherever they are. Anything outside Python's library
            directories is followed too; other installed packages are not.
    """
    waiting, own = list(modules), set(packages)
    seen: set[str] = set()
    found: dict[str, str] = {}
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = locate(module)
        if path is None or not _followed(module, path, own):
            continue
        found[module] = _digest(path, path.stat().st_mtime_ns)
        waiting.extend(_imports(module, path, path.stat().st_mtime_ns))
    return dict(sorted(found.items()))


def changed(recorded: dict[str, str]) -> list[str]:
    """Returns the modules whose source is missing or no longer has its recorded digest."""
    changed_modules = []
    for module, digest in recorded.items():
        path = locate(module)
        if path is None or _digest(path, path.stat().st_mtime_ns) != digest:
            changed_modules.append(module)
    return changed_modules


def locate(module: str) -> Path | None:
    """Returns the source file of a module without importing it or its parent packages."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        origin = spec.origin
        return Path(origin) if origin and origin.endswith(".py") else None
    for directory in spec.submodule_search_locations or ():
        base = Path(directory, *rest)
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


@functools.lru_cache(maxsize=4096)
def _digest(path: Path, changed_ns: int) -> str:
    del changed_ns  # only makes a changed file another entry of the cache
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _followed(module: str, path: Path, own: set[str]) -> bool:
    return module.partition(".")[0] in own or not _installed(path)


@functools.lru_cache(maxsize=4096)
def _installed(path: Path) -> bool:
    libraries = [sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")]
    return any(path.resolve().is_relative_to(Path(root).resolve()) for root in libraries)


@functools.lru_cache(maxsize=4096)
def _imports(module: str, path: Path, changed_ns: int) -> tuple[str, ...]:
    del changed_ns
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")
                anchor = ".".join(above[: len(above) - node.level + 1])
                base = f"{anchor}.{base}" if base else anchor
            names.append(base)
            names.extend(f"{base}.{alias.name}" for alias in node.names)
    return tuple(names)
