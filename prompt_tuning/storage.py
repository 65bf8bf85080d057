"""Files and directories that are written whole or not at all.

What is written is put on the disk under a temporary name beside its place and then renamed, so a
reader sees the old or the new, never a part. A process that is killed leaves its temporary behind;
the first one to write to the same directory a day later removes it.
"""

import contextlib
import errno
import functools
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_PREFIX, _SUFFIX = ".prompt_tuning-", ".tmp"
TEMPORARIES = f"{_PREFIX}*{_SUFFIX}"  # a pattern of `glob`
_ABANDONED = 24 * 3600  # seconds after which a temporary is taken for one of a killed process
_MOST_TRIES = 100  # to put a directory where others keep putting theirs


@contextlib.contextmanager
def write_file(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to fill, which takes the place of `path` once it is on the disk.

    Leaves no trace when filling it fails.

    Raises:
        OSError: It cannot be written; one reason is that its directory is not there.
    """
    with _temporary(path.parent) as temporary:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)


@contextlib.contextmanager
def write_directory(path: Path) -> Iterator[Path]:
    """Gives a directory to fill, which takes the place of `path`, whatever is there, on the disk.

    Leaves no trace when filling it fails. Readers see nothing at `path` for the moment between two
    renames. Of several who write at the same time, one wins.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path.parent) as temporary:
        temporary.mkdir()
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(os.path.join(folder, name))
            _sync_directory(folder)
        _take_place(temporary, path)
        _sync_directory(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file by `write_file`; makes its directory where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8 by `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON by `write_text`."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def check_writable(directory: Path) -> None:
    """Checks that files can be made in a directory.

    Raises:
        OSError: They cannot.
    """
    with _temporary(directory) as temporary:
        temporary.mkdir()


def sweep(directory: Path) -> None:
    """Removes what processes that were killed a day ago or earlier left half written."""
    with contextlib.suppress(OSError):
        for path in directory.glob(TEMPORARIES):
            if time.time() - path.lstat().st_mtime > _ABANDONED:
                _remove(path)


# Looking once is enough: a directory may hold ten thousand files, each of them written alone.
_sweep_once = functools.cache(sweep)


@contextlib.contextmanager
def _temporary(directory: Path) -> Iterator[Path]:
    """Gives the path of a temporary, and removes what is still there in the end."""
    _sweep_once(directory)
    path = _temporary_path(directory)
    try:
        yield path
    finally:
        _remove(path)


def _temporary_path(directory: Path) -> Path:
    return directory / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def _take_place(temporary: Path, path: Path) -> None:
    # A directory is not renamed onto what is there, so that steps aside first. Another writer may
    # put its own there in between.
    with contextlib.ExitStack() as after:
        for _ in range(_MOST_TRIES):
            try:
                os.rename(temporary, path)
                return
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            aside = _temporary_path(path.parent)
            after.callback(_remove, aside)
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, aside)
    raise OSError(f"{path} is being replaced by others over and over")


def _remove(path: Path) -> None:
    # A disk that fails here too must not hide what went wrong before.
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _sync_directory(path: str | Path) -> None:
    # Some file systems cannot; what is in the directory is on the disk all the same.
    with contextlib.suppress(OSError):
        _sync(path)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
