"""Writes files and directories completely or not at all.

Content is written to a temporary name in the same directory, synced and renamed, so readers see the
old or the new, never a part. A killed process leaves its temporary behind; the first process that
writes to the directory a day later removes it.
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
_ABANDONED = 24 * 3600  # seconds after which a temporary must be that of a killed process
_MOST_TRIES = 100  # at renaming a directory while other processes write the same path


@contextlib.contextmanager
def write_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file for writing, and renames it to `path` at the end.

    Leaves nothing behind if the block raises.

    Raises:
        OSError: It cannot be written, for example because its directory does not exist.
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
    """Makes a temporary directory to fill, and replaces `path`, whatever it is, at the end.

    Leaves nothing behind if the block raises. Nothing is at `path` for a moment between two
    renames. If several processes write at the same time, one wins.

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
    """Writes a file completely or not at all; makes its directory if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_file(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 file as `write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file as `write_bytes` does."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def check_writable(directory: Path) -> None:
    """Checks that a directory is writable.

    Raises:
        OSError: It is not.
    """
    with _temporary(directory) as temporary:
        temporary.mkdir()


def remove_abandoned(directory: Path) -> None:
    """Removes the temporaries that killed processes left in a directory a day ago or earlier."""
    with contextlib.suppress(OSError):
        for path in directory.glob(TEMPORARIES):
            if time.time() - path.lstat().st_mtime > _ABANDONED:
                _remove(path)


# Once per process: ten thousand files may be written to one directory, one by one.
_remove_abandoned_once = functools.cache(remove_abandoned)


@contextlib.contextmanager
def _temporary(directory: Path) -> Iterator[Path]:
    """Yields the path of a temporary, and removes what is still there at the end."""
    _remove_abandoned_once(directory)
    path = _temporary_path(directory)
    try:
        yield path
    finally:
        _remove(path)


def _temporary_path(directory: Path) -> Path:
    return directory / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def _take_place(temporary: Path, path: Path) -> None:
    # A directory cannot be renamed onto another, which is moved aside first. Another process may
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
    raise OSError(f"{path}: other processes keep replacing it")


def _remove(path: Path) -> None:
    # An error here must not hide an earlier one.
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _sync_directory(path: str | Path) -> None:
    # Some file systems cannot sync directories; the files in it are synced all the same.
    with contextlib.suppress(OSError):
        _sync(path)


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
