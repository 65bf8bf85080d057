"""Files and directories that are written whole or not at all."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def write_file(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to fill and, once that is on the disk, puts it in the place of `path`.

    Leaves no trace when filling it fails.

    Raises:
        OSError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        # A disk that fails here too must not hide what went wrong before.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
