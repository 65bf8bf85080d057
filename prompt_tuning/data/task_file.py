"""Says which file of the user's own a task is made from; `user_task` reads it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from prompt_tuning.types import UserError, nearest

Kind = Literal["labels", "numbers", "text"]
"""What answers are."""


@dataclass(frozen=True, kw_only=True)
class TaskFile:
    """Says which file a task is made from, and how; None is guessed from the file.

    Attributes:
        path: A CSV, TSV or JSONL file; None for no such task.
        name: Names the task; None for the file's name without its ending.
        inputs: The column of the input text, or several.
        label: The column of the answer.
        template: How columns become the input: `premise: {premise} hypothesis: {hypothesis}`.
        answers: What answers are: `labels`, `numbers` or `text`.
        label_words: The word to answer with for each label of the file; None for the labels.
        metrics: Names of metrics; a score is their mean.
        split: The column that names each row's split: train, validation or test.
        validation_file: A file of the same columns with the validation examples.
        test_file: A file of the same columns with the test examples.
        validation_share: Share of the examples to validate on, where none are given for it.
        test_share: Share of the examples to test on, where none are given for either.
        seed: Names the random division.
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
        """The name of the task; None where there is no file.

        Raises:
            UserError: The file's name has no letters that a task's name may have.
        """
        if self.path is None:
            return None
        name = re.sub(r"[^A-Za-z0-9]+", "_", self.name or Path(self.path).stem).strip("_")
        if not name:
            raise UserError(f"{self.path}: cannot name a task after it; set TaskFile.name")
        return name

    @property
    def other_files(self) -> dict[str, str]:
        """The files of other splits than `train`, by split."""
        files = {"validation": self.validation_file, "test": self.test_file}
        return {split: path for split, path in files.items() if path is not None}


def _check_kind(kind: str) -> None:
    kinds = get_args(Kind)
    if kind not in kinds:
        raise UserError(
            f"TaskFile.answers is {kind!r}{nearest(kind, kinds)}; use one of {', '.join(kinds)}"
        )
