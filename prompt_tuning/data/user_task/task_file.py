"""A task made from a file: which file, and which part of it is what."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from prompt_tuning.data import references
from prompt_tuning.data.user_task.columns import (
    Columns,
    Template,
    choose_columns,
    parse_template,
    template_of,
)
from prompt_tuning.data.user_task.examples import (
    Example,
    Kind,
    check_kind,
    complete_splits,
    guess_kind,
    guess_metrics,
    metric_references,
    named_splits,
    read_examples,
    sorted_labels,
    with_words,
)
from prompt_tuning.data.user_task.table import Table, read_table
from prompt_tuning.types import UserError


class Setting(NamedTuple):
    """A parameter of `TaskFile`, its value, and whether it was guessed."""

    name: str
    value: Any
    guessed: bool


@dataclass(frozen=True, kw_only=True)
class FileTask:
    """A task as text.

    Attributes:
        name: Its name.
        path: The file.
        splits: Its examples by split, in the order of the file.
        kind: Whether its answers are labels, numbers or text.
        labels: The label words by class; empty where answers are not labels.
        metrics: References of its metrics.
        template: How columns became its inputs.
        settings: What its file was read by.
        notes: How the file was read, where that may surprise.
    """

    name: str
    path: Path
    splits: Mapping[str, Sequence[Example]]
    kind: Kind
    labels: tuple[str, ...]
    metrics: tuple[references.Reference, ...]
    template: Template
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]


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
            check_kind(self.answers)
        if self.label_words is not None and self.answers not in (None, "labels"):
            raise UserError(f"TaskFile.label_words: answers are {self.answers}, which have none")
        if self.split is not None and self._other_files:
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
    def chosen_template(self) -> str | None:
        """How columns become the input where that is set, as a template; None where it is guessed.

        Raises:
            UserError: The template cannot be read.
        """
        if self.template is not None:
            return str(parse_template(self.template))
        inputs = _several(self.inputs)
        return None if inputs is None else str(template_of(inputs))

    def read(self) -> FileTask:
        """Reads, checks and divides the examples.

        Raises:
            UserError: The file cannot be read, rows of it are malformed, a setting does not fit
                it, or there are too few examples or labels.
        """
        assert self.path is not None and self.task_name is not None
        paths = {"train": self.path, **self._other_files}
        tables = {split: read_table(Path(path).expanduser()) for split, path in paths.items()}
        chosen, form = self._choose(tables["train"])
        examples = {split: read_examples(t, form, chosen.label) for split, t in tables.items()}
        values = [example.targets for part in examples.values() for example in part]
        kind = self._kind(values)
        words = self._words(kind, values)
        for split, table in tables.items():
            examples[split] = with_words(table, examples[split], kind, words)
        if chosen.split is not None:
            examples = named_splits(tables["train"], examples["train"], chosen.split)
        labels = tuple(dict.fromkeys(words.values()))
        metrics = _several(self.metrics) or guess_metrics(kind, values)
        return FileTask(
            name=self.task_name,
            path=tables["train"].path,
            splits=complete_splits(
                examples,
                by_class=kind == "labels",
                validation_share=self.validation_share,
                test_share=self.test_share,
                seed=self.seed,
            ),
            kind=kind,
            labels=labels,
            metrics=metric_references(kind, metrics, labels),
            template=form,
            settings=self._settings(chosen, form, kind, metrics),
            notes=tuple(f"{table.path}: {table.note}" for table in tables.values() if table.note),
        )

    @property
    def _other_files(self) -> dict[str, str]:
        files = {"validation": self.validation_file, "test": self.test_file}
        return {split: path for split, path in files.items() if path is not None}

    def _choose(self, main: Table) -> tuple[Columns, Template]:
        """Returns the columns, and how those of the input become a text."""
        inputs = _several(self.inputs)
        form = None if self.template is None else parse_template(self.template)
        for name in inputs or ():
            if form is not None and name not in form.columns:
                raise UserError(f"TaskFile.template leaves out '{name}', a column of the inputs")
        for name in () if form is None else form.columns:
            main.check_column(name, "TaskFile.template")
        chosen = choose_columns(
            main,
            inputs=inputs if form is None else form.columns,
            label=self.label,
            split=self.split,
        )
        if self._other_files:
            chosen = chosen._replace(split=None)
        return chosen, form or template_of(chosen.inputs)

    def _kind(self, values: Sequence[str]) -> Kind:
        if self.answers is not None:
            return self.answers  # pyright: ignore[reportReturnType] (it was checked)
        return "labels" if self.label_words is not None else guess_kind(values)

    def _words(self, kind: Kind, values: Sequence[str]) -> dict[str, str]:
        """Returns the label word of each label; none where answers are not labels."""
        if kind != "labels":
            return {}
        labels = sorted_labels(values)
        words = {label: " ".join(label.split()) for label in labels}
        if self.label_words is not None:
            words = {str(label): word.strip() for label, word in self.label_words.items()}
        if len({words.get(label) for label in labels}) == 1:
            raise UserError(
                f"{self.path}: every row has the label '{words.get(labels[0])}'; a task needs two, "
                "so add rows of another, or set TaskFile.label if this is not the label's column"
            )
        return words

    def _settings(
        self, chosen: Columns, form: Template, kind: Kind, metrics: Sequence[str]
    ) -> tuple[Setting, ...]:
        one = len(form.columns) == 1
        values = {
            "inputs": (chosen.inputs[0] if one else chosen.inputs, self.inputs is None),
            "template": (str(form), self.template is None),
            "label": (chosen.label, self.label is None),
            "answers": (kind, self.answers is None),
            "metrics": (tuple(metrics), self.metrics is None),
        }
        if chosen.split is not None:
            values["split"] = (chosen.split, self.split is None)
        # One of these two says it all: a column alone, or how several become a text.
        del values["inputs" if self.template is not None or not one else "template"]
        return tuple(Setting(name, *value) for name, value in values.items())


def _several(names: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)
