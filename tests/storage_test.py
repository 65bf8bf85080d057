"""Files and directories come whole or not at all, and are on the disk before they are seen."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from prompt_tuning import storage
from prompt_tuning.storage import write_bytes, write_directory, write_file, write_json, write_text

DAY = 24 * 3600


@contextlib.contextmanager
def fill_file(path: Path, content: bytes) -> Iterator[None]:
    """Writes a file; the body runs when it is half written."""
    with write_file(path) as file:
        file.write(content[: len(content) // 2])
        file.flush()
        yield
        file.write(content[len(content) // 2 :])


@contextlib.contextmanager
def fill_directory(path: Path, content: bytes) -> Iterator[None]:
    """Writes a directory of two files; the body runs when it is half written."""
    with write_directory(path) as folder:
        (folder / "in").mkdir()
        (folder / "in" / "a").write_bytes(content[: len(content) // 2])
        yield
        (folder / "b").write_bytes(content[len(content) // 2 :])


Fill = Callable[[Path, bytes], AbstractContextManager[None]]
BOTH = pytest.mark.parametrize("fill", [fill_file, fill_directory])


def content(path: Path) -> bytes:
    """Returns what `fill_file` or `fill_directory` wrote."""
    if path.is_dir():
        return (path / "in" / "a").read_bytes() + (path / "b").read_bytes()
    return path.read_bytes()


@BOTH
def test_the_new_takes_the_place_of_the_old_once_it_is_whole(tmp_path: Path, fill: Fill):
    path = tmp_path / "a"
    for before, after in ((b"old", b"once"), (b"once", b"twice")):
        if not path.exists():
            path.write_bytes(before)  # A file, also where a directory is going to be.
        with fill(path, after):
            assert content(path) == before
        assert content(path) == after
        assert list(tmp_path.iterdir()) == [path]


@BOTH
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")], ids=repr)
def test_what_fails_leaves_no_trace(tmp_path: Path, fill: Fill, error: BaseException):
    path = tmp_path / "a"
    with fill(path, b"old"):
        pass
    with pytest.raises(type(error)), fill(path, b"new"):
        raise error
    assert list(tmp_path.iterdir()) == [path] and content(path) == b"old"


@BOTH
def test_a_disk_that_turns_out_full_in_the_end_leaves_no_trace(
    tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), fill(tmp_path / "a", b"new"):
        pass
    assert list(tmp_path.iterdir()) == []


@BOTH
def test_all_is_on_the_disk_before_it_is_renamed_and_the_name_after(
    tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "a"
    early, late = set[int](), set[int]()
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: (late if path.exists() else early).add(os.fstat(descriptor).st_ino),
    )
    with fill(path, b"new"):
        pass
    written = {path.stat().st_ino, *(below.stat().st_ino for below in path.rglob("*"))}
    assert early == written
    assert late == {tmp_path.stat().st_ino}


KILLED = """
import os, signal, sys
from pathlib import Path
from tests import storage_test

with getattr(storage_test, sys.argv[1])(Path(sys.argv[2]), b"new"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@BOTH
def test_what_a_killed_writer_leaves_is_not_seen_and_goes_after_a_day(tmp_path: Path, fill: Fill):
    path = tmp_path / "a"
    with fill(path, b"old"):
        pass
    command = [sys.executable, "-c", KILLED, fill.__name__, str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert content(path) == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.name.startswith(".")
    storage.remove_abandoned(tmp_path)
    assert left.exists()  # Its writer may be at work.
    os.utime(left, (0, time.time() - 2 * DAY))
    storage.remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_whoever_writes_first_removes_what_is_old_and_nothing_of_others(tmp_path: Path):
    left = tmp_path / ".prompt_tuning-0123456789abcdef.tmp"
    theirs = tmp_path / ".notes.tmp"
    for path in (left, theirs):
        path.write_text("")
        os.utime(path, (0, time.time() - 2 * DAY))
    write_text(tmp_path / "a", "new")
    assert set(tmp_path.iterdir()) == {tmp_path / "a", theirs}


@BOTH
def test_writers_at_once_and_a_reader_see_only_whole_ones(tmp_path: Path, fill: Fill):
    path = tmp_path / "a"
    contents = [bytes([letter]) * 200_000 for letter in b"xyz"]
    failures: list[Exception] = []

    def keep_writing(content: bytes) -> None:
        try:
            for _ in range(10):
                with fill(path, content):
                    pass
        except Exception as error:
            failures.append(error)

    writers = [threading.Thread(target=keep_writing, args=[content]) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        with contextlib.suppress(FileNotFoundError):
            seen = (path / "b" if fill is fill_directory else path).read_bytes()
            assert seen in [whole[-len(seen) :] for whole in contents]
            assert len(seen) in (100_000, 200_000)
    for writer in writers:
        writer.join()
    assert failures == []
    assert content(path) in contents and list(tmp_path.iterdir()) == [path]


def test_texts_and_json_make_their_directory(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "é")
    assert path.read_bytes() == b"\xc3\xa9"
    write_json(path, {"b": [1]})
    assert path.read_text() == '{\n "b": [\n  1\n ]\n}\n'
    with pytest.raises(OSError, match="directory"):
        write_bytes(tmp_path / "new", b"")
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_a_directory_is_checked_to_be_writable(tmp_path: Path):
    storage.check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        storage.check_writable(tmp_path / "file")
