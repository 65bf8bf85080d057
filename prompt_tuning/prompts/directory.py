"""Directories that are written whole or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def write_directory(path: Path) -> Iterator[Path]:
    """Gives a directory to fill, and then puts it in the place of `path`, whatever is there.

    Leaves no trace when filling it fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    temporary, old = (path.with_name(f".{path.name}.{mark}.{end}") for end in ("tmp", "old"))
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            os.rename(path, old)
        os.rename(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
