"""First prompts: what rows start from, and what is said where there are no class labels."""

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.prompts import files
from prompt_tuning.training.first_prompts import FirstPrompts
from prompt_tuning.training.starts import ClassLabels, FromFile
from prompt_tuning.types import UserError
from tests.training import toy

TABLE = toy.params()["token_embedder"]["embedding"]


def test_class_labels_are_those_of_the_rows_task(tmp_path: Path):
    first = FirstPrompts(toy.work(tmp_path), TABLE, prompt_length=3, placement="prefix")
    prompt = first.make(toy.row("a", start=ClassLabels(None, None)), {})
    assert prompt.shape == first.shape == (3, 16)
    np.testing.assert_array_equal(prompt[:2], TABLE[5:7])


def test_tasks_without_labels_are_named_once(tmp_path: Path):
    out = io.StringIO()
    open_ended = dataclasses.replace(toy.task(tmp_path, "open"), labels=())
    tasks = {"counting": toy.task(tmp_path), "open": open_ended}
    work = toy.work(tmp_path, tasks=tasks, console=Console(file=out, width=200))
    labels = ClassLabels(None, None)
    rows = [
        toy.row("a", start=labels),
        *(toy.row(name, task="open", start=labels) for name in "bc"),
        toy.row("d", task="open"),
    ]
    first = FirstPrompts(work, TABLE, prompt_length=3, placement="prefix")
    first.tell_of_fallbacks(rows[:1])
    assert not out.getvalue()
    first.tell_of_fallbacks(rows)
    assert out.getvalue() == "No class labels: open; prompts start from sampled vocabulary.\n"


def test_a_row_starts_from_a_file_of_its_own_placement_and_target_prefix_alone(tmp_path: Path):
    work = toy.work(tmp_path)
    task = with_target_prefix(toy.task(tmp_path), "30", toy.Digits())  # pyright: ignore[reportArgumentType]
    prefixed = dataclasses.replace(work, tasks={"counting": task})
    metadata = {"placement": "suffix_after_eos", "target_prefix": "30"}
    path = tmp_path / "start.safetensors"
    files.save(path, files.Prompt(np.ones((3, 16), np.float32), metadata))
    row = toy.row("a", start=FromFile(str(path)))
    first = FirstPrompts(prefixed, TABLE, prompt_length=3, placement="suffix_after_eos")
    np.testing.assert_array_equal(first.make(row, {}), np.ones((3, 16)))
    for works, placement, message in (
        (prefixed, "prefix", "placement suffix_after_eos"),
        (work, "suffix_after_eos", "target prefix 30"),
    ):
        first = FirstPrompts(works, TABLE, prompt_length=3, placement=placement)
        with pytest.raises(UserError, match=message):
            first.make(row, {})
