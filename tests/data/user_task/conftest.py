"""Files of one's own, written for each test."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import prompt_tuning
from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.data.user_task import reading
from prompt_tuning.data.user_task.reading import FileTask
from prompt_tuning.data.vocabulary import Vocabulary

FREE: Mapping[str, Any] = {
    "path": None,
    "name": None,
    "inputs": None,
    "label": None,
    "template": None,
    "answers": None,
    "label_words": None,
    "metrics": None,
    "split": None,
    "validation_file": None,
    "test_file": None,
    "validation_share": 0.1,
    "test_share": 0.1,
    "seed": 0,
}
"""The defaults of `TaskFile`: everything is guessed."""

REVIEWS = [
    (f"the {thing} {word} in every way", label)
    for thing in ("film", "book", "song", "play", "meal", "room", "game", "walk", "talk", "view")
    for word, label in (("pleases", "good"), ("annoys", "bad"), ("delights", "good"))
]
"""Thirty reviews: twenty good, ten bad."""


@pytest.fixture(scope="module")
def mini() -> Vocabulary:
    """Returns the vocabulary of t5_mini, which knows no capitals."""
    folder = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini"
    return Vocabulary(folder / "sentencepiece.model", 16)


@pytest.fixture(scope="module")
def published(shared_data: Path) -> Vocabulary:
    """Returns T5's own vocabulary, which lacks characters."""
    return Vocabulary(shared_data / "t5" / "spiece.model", 100)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Returns a function that writes a file below a directory of the test."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def read(write: Callable[[str, str | bytes], Path]) -> Callable[..., FileTask]:
    """Returns a function that writes a file and reads it as a task, with settings."""

    def read(name: str, content: str | bytes, **settings: Any) -> FileTask:
        file = TaskFile(**{**FREE, "path": str(write(name, content)), **settings})
        return reading.read_file_task(file)

    return read


def comma_separated(header: str, rows: Sequence[Sequence[str]]) -> str:
    """Returns a CSV file whose fields need no quotes."""
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def json_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns a JSONL file."""
    return "".join(json.dumps(row) + "\n" for row in rows)
