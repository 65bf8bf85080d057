"""Files and directories come whole or not at all."""

from pathlib import Path

import pytest

from prompt_tuning.prompts.whole import write_directory, write_file


def test_a_file_takes_the_place_of_the_one_before_once_it_is_whole(tmp_path: Path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with write_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("write", [write_file, write_directory])
def test_what_fails_leaves_no_trace(tmp_path: Path, write):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), write(path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"old"
