"""Digests of the source files of a user's task modules, by which changes are noticed."""

import functools
import hashlib
import importlib.util
import sysconfig
from collections.abc import Collection, Iterable
from pathlib import Path

_PACKAGE = __name__.partition(".")[0]


def digests(modules: Iterable[str], packages: Collection[str]) -> dict[str, str]:
    """Returns the SHA-256 of the source file of each module, by module name.

    Args:
        modules: Names of modules. This package's own are left out, as its tasks have versions.
        packages: Top-level packages to include even if they are installed in Python's library
            directories; other installed packages are left out.
    """
    by_module = {}
    for module in sorted(set(modules)):
        top, path = module.partition(".")[0], locate(module)
        if path is not None and top != _PACKAGE and (top in packages or not _is_installed(path)):
            by_module[module] = _digest(path)
    return by_module


def changed(recorded: dict[str, str]) -> list[str]:
    """Returns the modules whose source file is missing or differs from its recorded digest."""
    changed_modules = []
    for module, digest in recorded.items():
        path = locate(module)
        if path is None or _digest(path) != digest:
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


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@functools.cache
def _is_installed(path: Path) -> bool:
    libraries = [sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib")]
    return any(path.resolve().is_relative_to(Path(root).resolve()) for root in libraries)
