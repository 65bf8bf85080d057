"""The run directory: refused where it cannot be written."""

from pathlib import Path

import pytest

from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.types import UserError


def test_naming_a_directory_does_not_make_it(tmp_path: Path):
    directory = RunDirectory(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    assert directory.row("x.seed0") == tmp_path / "a" / "b" / "prompts" / "x.seed0"


def test_a_path_under_a_file_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"cannot write to MODEL_DIR '.*/file/run': Not a directory"
    ):
        RunDirectory(tmp_path / "file" / "run")


def test_the_home_directory_can_be_written_as_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunDirectory("~/run").path == tmp_path / "run"
