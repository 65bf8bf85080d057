"""Trainings that are killed, and checkpoints that are damaged."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prompt_tuning.training.loop import Trainer


class _KilledError(Exception):
    pass


def kill(train: Callable[[], object], turns: int) -> None:
    """Calls `train`, and ends it when its loop has done a number of turns."""
    left = iter(range(turns))
    settle = Trainer.settle

    def interrupted(*arguments: Any) -> None:
        if next(left, None) is None:
            raise _KilledError
        settle(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "settle", interrupted)
        with pytest.raises(_KilledError):
            train()


def damage_newest(checkpoints: Path) -> str:
    """Cuts the files of the newest checkpoint in half, and returns its name."""
    newest = max(checkpoints.iterdir(), key=lambda path: int(path.name))
    for file in newest.rglob("*"):
        if file.is_file() and file.stat().st_size > 200:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return newest.name
