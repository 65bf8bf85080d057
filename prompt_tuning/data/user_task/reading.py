"""Makes tasks, as text, from files or tables of examples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from prompt_tuning.data import references
from prompt_tuning.data.task_file import Kind, TaskFile
from prompt_tuning.data.user_task.columns import (
    Columns,
    Template,
    choose_columns,
    parse_template,
    template_of,
)
from prompt_tuning.data.user_task.examples import (
    Example,
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
    """A task made from a file, as text.

    Attributes:
        name: Its name.
        path: The file.
        splits: Its examples by split, in the order of the file.
        kind: Whether its answers are labels, numbers or text.
        labels: The label words by class; empty if answers are not labels.
        metrics: References to its metrics.
        template: Wrote columns into its inputs.
        settings: The settings its file was read with.
        notes: How the file was read, if that may surprise.
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


def chosen_template(file: TaskFile) -> str | None:
    """Returns the template that the settings give, or None if it is guessed from the file.

    Raises:
        UserError: The template is malformed.
    """
    if file.template is not None:
        return str(parse_template(file.template))
    inputs = _several(file.inputs)
    return None if inputs is None else str(template_of(inputs))


def read_file_task(file: TaskFile) -> FileTask:
    """Makes a task from its files.

    Raises:
        UserError: A file cannot be read or has malformed records, a setting does not fit it, or
            there are too few examples or labels.
    """
    assert file.path is not None
    paths = {"train": file.path, **file.other_files}
    return make_file_task(
        file, {split: read_table(Path(path).expanduser()) for split, path in paths.items()}
    )


def make_file_task(file: TaskFile, tables: Mapping[str, Table]) -> FileTask:
    """Makes a task from tables: that of `train`, and those of other splits if given.

    Raises:
        UserError: A setting does not fit the tables, records are malformed, or there are too few
            examples or labels.
    """
    assert file.task_name is not None
    chosen, form = _choose(file, tables["train"])
    examples = {split: read_examples(t, form, chosen.label) for split, t in tables.items()}
    values = [example.targets for part in examples.values() for example in part]
    kind = _kind(file, values)
    words = _words(file, kind, values)
    for split, table in tables.items():
        examples[split] = with_words(table, examples[split], kind, words)
    if chosen.split is not None:
        examples = named_splits(tables["train"], examples["train"], chosen.split)
    labels = tuple(dict.fromkeys(words.values()))
    metrics = _several(file.metrics) or guess_metrics(kind, values)
    return FileTask(
        name=file.task_name,
        path=tables["train"].path,
        splits=complete_splits(
            examples,
            by_class=kind == "labels",
            validation_share=file.validation_share,
            test_share=file.test_share,
            seed=file.seed,
        ),
        kind=kind,
        labels=labels,
        metrics=metric_references(kind, metrics, labels),
        template=form,
        settings=_settings(file, chosen, form, kind, metrics),
        notes=tuple(f"{table.path}: {table.note}" for table in tables.values() if table.note),
    )


def _choose(file: TaskFile, main: Table) -> tuple[Columns, Template]:
    """Returns the columns, and the template of the input."""
    inputs = _several(file.inputs)
    form = None if file.template is None else parse_template(file.template)
    for name in inputs or ():
        if form is not None and name not in form.columns:
            raise UserError(f"TaskFile.template leaves out '{name}', a column of the inputs")
    for name in () if form is None else form.columns:
        main.check_column(name, "TaskFile.template")
    chosen = choose_columns(
        main,
        inputs=inputs if form is None else form.columns,
        label=file.label,
        split=file.split,
    )
    if file.other_files:
        chosen = chosen._replace(split=None)
    return chosen, form or template_of(chosen.inputs)


def _kind(file: TaskFile, values: Sequence[str]) -> Kind:
    if file.answers is not None:
        return file.answers  # pyright: ignore[reportReturnType] (TaskFile checks it)
    return "labels" if file.label_words is not None else guess_kind(values)


def _words(file: TaskFile, kind: Kind, values: Sequence[str]) -> dict[str, str]:
    """Returns the label word of each label; empty if answers are not labels."""
    if kind != "labels":
        return {}
    labels = sorted_labels(values)
    words = {label: " ".join(label.split()) for label in labels}
    if file.label_words is not None:
        words = {str(label): word.strip() for label, word in file.label_words.items()}
    if len({words.get(label) for label in labels}) == 1:
        raise UserError(
            f"{file.path}: every example has the label '{words.get(labels[0])}'; a task needs two, "
            "so add examples of another, or set TaskFile.label if this is not the label's column"
        )
    return words


def _settings(
    file: TaskFile, chosen: Columns, form: Template, kind: Kind, metrics: Sequence[str]
) -> tuple[Setting, ...]:
    one = len(form.columns) == 1
    values = {
        "inputs": (chosen.inputs[0] if one else chosen.inputs, file.inputs is None),
        "template": (str(form), file.template is None),
        "label": (chosen.label, file.label is None),
        "answers": (kind, file.answers is None),
        "metrics": (tuple(metrics), file.metrics is None),
    }
    if chosen.split is not None:
        values["split"] = (chosen.split, file.split is None)
    # One of the two is enough: the name of a single column, or a template.
    del values["inputs" if file.template is not None or not one else "template"]
    return tuple(Setting(name, *value) for name, value in values.items())


def _several(names: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)
