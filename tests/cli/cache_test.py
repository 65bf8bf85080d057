"""`cache` tokenizes ahead of time, and says what is there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import TASKS, flags


def test_the_cache_has_the_tasks_and_a_second_run_finds_them(
    cached: tuple[Path, str], here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    folder, first = cached
    assert "tokenized" in first
    words = flags(CACHE_DIR=str(folder), CACHE_TASKS=TASKS)
    assert here("cache", "--gin_file=runs/train_mini.gin", *words) == 0
    second = capsys.readouterr().out
    assert "tokenized" not in second
    rows = {tuple(line.split()[:3]) for line in second.splitlines()}
    sizes = {"train": {"mini_cr": "32"}, "validation": {}, "test": {}}
    wanted = {
        (task, split, sizes[split].get(task, default))
        for task in TASKS
        for split, default in (("train", "2,000"), ("validation", "128"), ("test", "256"))
    }
    assert wanted <= rows
