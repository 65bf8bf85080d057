"""Settings for a task made from a user's own file, which `user_task` reads."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from prompt_tuning.types import UserError, nearest

Kind = Literal["labels", "numbers", "text"]
"""The kind of answers in a file."""


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """Settings for a task made from a file. Settings that are None are guessed from the file.

    Attributes:
        path: A CSV, TSV or JSONL file; None for no such task.
        name: The name of the task; None for the file's name without its extension.
        inputs: The column of the input text, or several.
        label: The column of the answer.
        template: Writes columns into the input: `premise: {premise} hypothesis: {hypothesis}`.
        answers: The kind of answers: `labels`, `numbers` or `text`.
        label_words: The label word of each label in the file; None for the labels themselves.
        metrics: Names of metrics, whose mean is the score.
        split: The column that names the split of each line: train, validation or test.
        validation_file: A file with the same columns and the validation examples.
        test_file: A file with the same columns and the test examples.
        validation_share: Share of the examples to validate on, if no validation examples are given.
        test_share: Share of the examples to test on, if neither kind is given.
        seed: Seeds the random division.
    """

    path: str | None
    name: str | None
    inputs: str | tuple[str, ...] | None
    label: str | None
    template: str | None
    answers: str | None
    label_words: dict[str | int, str] | None
    metrics: str | tuple[str, ...] | None
    split: str | None
    validation_file: str | None
    test_file: str | None
    validation_share: float
    test_share: float
    seed: int

    def __post_init__(self):
        if self.answers is not None:
            _check_kind(self.answers)
        if self.label_words is not None and self.answers not in (None, "labels"):
            raise UserError(f"TaskFile.label_words: answers are {self.answers}, which have none")
        if self.split is not None and self.other_files:
            raise UserError("TaskFile.split: splits are in files of their own; give one of the two")
        for name in ("validation_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(f"TaskFile.{name} must be in [0, 1), not {getattr(self, name)}")
        if self.validation_share + self.test_share >= 1:
            raise UserError("TaskFile.validation_share and test_share leave nothing to train on")

    @property
    def task_name(self) -> str | None:
        """The name of the task; None if there is no file.

        Raises:
            UserError: The file's name has no character that a task's name may have.
        """
        if self.path is None:
            return None
        name = re.sub(r"[^A-Za-z0-9]+", "_", self.name or Path(self.path).stem).strip("_")
        if not name:
            raise UserError(f"{self.path}: cannot name a task after it; set TaskFile.name")
        return name

    @property
    def other_files(self) -> dict[str, str]:
        """The files of the validation and test splits, if given, by split."""
        files = {"validation": self.validation_file, "test": self.test_file}
        return {split: path for split, path in files.items() if path is not None}


def _check_kind(kind: str) -> None:
    kinds = get_args(Kind)
    if kind not in kinds:
        raise UserError(
            f"TaskFile.answers is {kind!r}{nearest(kind, kinds)}; use one of {', '.join(kinds)}"
        )
