"""The commands of docs/library.md do what it says, one after another."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.formats import forms
from prompt_tuning.transfer.library.library import Library
from tests.documented import commands

TEXT = (Path(__file__).parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    prompt-tuning (library .*)$", TEXT, re.MULTILINE)
NAMES = ("mini_sst2", "mini_cr")


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a working directory with what the commands take."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/train").symlink_to(trained)
    prompt = files.load(trained / "prompts/mini_sst2.class_labels.seed0/best.safetensors")
    of_hub = files.Prompt(prompt.array, {**prompt.metadata, "backbone": "t5_1_0_small"})
    forms.write(tmp_path / "sst2_adapter", of_hub, "peft")
    (tmp_path / "released").mkdir()
    for name in NAMES:
        found = files.load(trained / f"prompts/{name}.class_labels.seed0/best.safetensors")
        np.save(tmp_path / "released" / f"{name}.npy", found.array)
    lines = [",".join(("target\\source", *NAMES)), "mini_sst2,0.9,0.8", "mini_cr,0.7,0.8"]
    (tmp_path / "zero_shot_matrix.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_every_command_runs(folder: Path, here: Callable[..., int], capsys: pytest.CaptureFixture):
    assert len(COMMANDS) == 8
    said = {}
    for command in COMMANDS:
        # The run that stands in for the documented one is shorter.
        words = command.replace("--embedding_step=100", "--embedding_step=3")
        words = words.replace("released/*.npy", " ".join(f"released/{name}.npy" for name in NAMES))
        assert here(*shlex.split(words)) == 0, capsys.readouterr().err
        said[command.split()[1]] = capsys.readouterr().out
    assert "mini_sst2" in said["list"] and "mini_cr" not in said["list"]
    assert "mini_cr" in said["search"] and "class_labels" in said["show"]
    again = forms.read(folder / "again")
    known = files.load(folder / "runs/train/prompts/mini_sst2.class_labels.seed0/best.safetensors")
    np.testing.assert_array_equal(again.array, known.array)
    assert (folder / "report/index.html").exists()
    assert len(Library(folder / "published").entries()) == 2
    reviews = [f"it was {('good', 'bad')[i % 2]} {i},{('good', 'bad')[i % 2]}" for i in range(40)]
    (folder / "reviews.csv").write_text("\n".join(["text,label", *reviews]))
    (spot,) = (command for command in commands(TEXT) if " spot " in command)
    words = [*shlex.split(spot)[1:], "--gin.PROMPT_LENGTH=10", "--dry_run"]
    assert here(*words) == 0, capsys.readouterr().err
