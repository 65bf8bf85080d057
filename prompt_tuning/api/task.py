"""Makes tasks from texts and labels, and opens tasks by name."""

import dataclasses
import numbers
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prompt_tuning.api.model import Model, configuration_of, console, warn
from prompt_tuning.cli import gin_config
from prompt_tuning.data.cached_task import MixtureOrTask
from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.data.user_task import summary
from prompt_tuning.data.user_task.reading import FileTask, make_file_task
from prompt_tuning.data.user_task.table import Record, Table
from prompt_tuning.data.user_task.tokens import tokenize_file_task
from prompt_tuning.types import UserError, nearest

Task = FileTask | MixtureOrTask
"""A task of `make_task` (text) or `open_task` (tokens)."""

_DATA_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")


def make_task(
    texts: Sequence[str],
    labels: Sequence[str | float],
    *,
    name: str = "texts",
    validation: tuple[Sequence[str], Sequence[str | float]] | None = None,
    test: tuple[Sequence[str], Sequence[str | float]] | None = None,
    **settings: Any,
) -> FileTask:
    """Makes a task from texts and their labels; it is tokenized when it is used.

    Few distinct labels are taken for classes, named by the answer words; many are taken for open
    answers or numbers. Missing validation or test examples are split off the texts, a tenth each,
    stratified by class and independent of the texts' order.

    Args:
        texts: The inputs.
        labels: The label, number or answer of each.
        name: The task's name.
        validation: Texts and labels that select the best checkpoint.
        test: Texts and labels that score it.
        settings: Other fields of `TaskFile`, such as `label_words={"0": "bad", "1": "good"}`,
            `metrics="macro_f1"`, `answers="text"`, `validation_share` or `seed`.

    Raises:
        UserError: There are no texts or too few to split, a text or label is empty or missing,
            there is only one label, or there is no such setting.
    """
    splits = {"train": (texts, labels), "validation": validation, "test": test}
    tables = {split: _table(split, *pair) for split, pair in splits.items() if pair is not None}
    fields = [field.name for field in dataclasses.fields(TaskFile)]
    for key in settings:
        if key not in fields:
            raise UserError(f"make_task: a task has no setting {key!r}{nearest(key, fields)}")
    defaults = gin_config.build_arguments_alone(
        configuration_of("train", ("defaults.gin",), {}), "TaskFile"
    )
    own = {"path": name, "name": name, "inputs": "text", "label": "label"}
    return make_file_task(TaskFile(**{**defaults, **own, **settings}), tables)


def open_task(name: str, model: Model) -> MixtureOrTask:
    """Opens a registered task or mixture, or a file of examples.

    Tokenizes it at first use, and keeps the tokens in the model's `CACHE_DIR`.

    Args:
        name: A name that `prompt-tuning tasks` lists; or a CSV, TSV or JSONL file, as in
            `docs/data.md`.
        model: The model to tokenize it for.

    Raises:
        UserError: There is no such task or file, or it cannot be tokenized.
    """
    setup = model.setup
    if name.lower().endswith(_DATA_ENDINGS):
        file = dataclasses.replace(setup.task_file, path=name)
        setup = dataclasses.replace(setup, task_file=file)
        name = setup.task_names(None)[0]
    vocabulary = model.opened.vocabulary
    return setup.open_tasks([name], vocabulary, tfds_data_dir=None, console=console())[name]


def tokenized(model: Model, task: Task, target_prefix: str | None = None) -> MixtureOrTask:
    """Returns a task as tokens of the model's vocabulary.

    Args:
        model: The model.
        task: The task.
        target_prefix: The prefix of its targets; None for that of the model's settings.

    Raises:
        UserError: The vocabulary cannot spell a label word, or the task was opened with another
            target prefix.
    """
    if target_prefix is None:
        target_prefix = model.setup.target_prefix or ""
    vocabulary = model.opened.vocabulary
    if isinstance(task, FileTask):
        file = tokenize_file_task(task, vocabulary, model.setup.feature_lengths)
        for line in summary.warnings(file):
            warn(line)
        task = file.task
    prefixes = {part.target_prefix for part in task.tasks}
    if prefixes == {target_prefix}:
        return task
    if prefixes != {""}:
        raise UserError(
            f"the targets of {task.name} begin with {', '.join(map(repr, sorted(prefixes)))}, but "
            f"the prompt was tuned with {target_prefix!r}; open the task with a model that has "
            "this TARGET_PREFIX"
        )
    return with_target_prefix(task, target_prefix, vocabulary)


def _table(split: str, texts: Sequence[str], labels: Sequence[str | float]) -> Table:
    """Returns texts and labels as a table, as if read from a file."""
    place = f"make_task: {split}"
    texts, labels = checked_texts(f"{place} texts", texts), list(labels)
    if len(texts) != len(labels):
        raise UserError(f"{place}: {len(texts)} texts and {len(labels)} labels; give as many")
    for i, label in enumerate(labels):
        text = isinstance(label, str) and label.strip()
        if not text and (not isinstance(label, numbers.Real) or label != label):
            raise UserError(f"{place} labels: item {i} is {label!r}; give a word or a number")
    records = [
        Record(i, {"text": text, "label": str(label)})
        for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    return Table(Path("make_task"), ("text", "label"), records)


def checked_texts(place: str, texts: Sequence[str]) -> list[str]:
    """Returns texts as a list, after checking that none is empty."""
    if isinstance(texts, str):
        raise UserError(f"{place}: this is a single text; put it in a list")
    texts = list(texts)
    if not texts:
        raise UserError(f"{place}: there are none; give at least one")
    for i, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{place}: item {i} is {text!r}; give a text that is not empty")
    return texts
