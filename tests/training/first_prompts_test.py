"""First prompts: what rows start from, and what is said where there are no class labels."""

import dataclasses
import io
from pathlib import Path

import numpy as np
from rich.console import Console

from prompt_tuning.training.first_prompts import FirstPrompts
from prompt_tuning.training.starts import ClassLabels
from tests.training import toy

TABLE = toy.params()["token_embedder"]["embedding"]


def test_class_labels_are_those_of_the_rows_task(tmp_path: Path):
    first = FirstPrompts(toy.work(tmp_path), TABLE, prompt_length=3)
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
    first = FirstPrompts(work, TABLE, prompt_length=3)
    first.tell_of_fallbacks(rows[:1])
    assert not out.getvalue()
    first.tell_of_fallbacks(rows)
    assert out.getvalue() == "No class labels: open; prompts start from sampled vocabulary.\n"
