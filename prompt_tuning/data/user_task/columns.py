"""Chooses the columns of a file for input, label and split, and writes columns into a text."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prompt_tuning.data.user_task.table import Record, Table
from prompt_tuning.types import UserError

_LABELS = (
    *("label", "labels", "gold_label", "gold", "target", "targets", "class", "category"),
    *("sentiment", "intent", "topic", "emotion", "answer", "output", "completion", "response"),
    *("summary", "translation", "similarity", "stars", "rating", "score", "y"),
)
_PAIRS = (
    *(("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2")),
    *(("sentence_a", "sentence_b"), ("question1", "question2"), ("text1", "text2")),
    *(("text_a", "text_b"), ("question", "context"), ("question", "passage")),
    *(("question", "paragraph"), ("question", "sentence"), ("query", "document")),
    *(("query", "passage"), ("instruction", "input")),
)
_TEXTS = (
    *("text", "review", "sentence", "inputs", "input", "content", "comment", "message", "tweet"),
    *("document", "article", "body", "passage", "paragraph", "utterance", "source", "prompt"),
    *("instruction", "question", "query", "title", "headline"),
)
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Maps a value of the split column to its split."""

_NUMBERING = re.compile(r"(id|idx|index|guid|uid|uuid|column_\d+|.*_id)")
_TEXT_WORDS = 3.0  # a column whose values have at least this many words on average is text
_SAMPLE = 1000  # records from which the average is taken


class Columns(NamedTuple):
    """The columns of the input, the label and the split (None if there is no such column)."""

    inputs: tuple[str, ...]
    label: str
    split: str | None


@dataclass(frozen=True)
class Template:
    """A text with columns to fill in.

    Attributes:
        pieces: Literal texts, each with the column that follows it; the last may have None.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to fill in, in order."""
        return tuple(dict.fromkeys(column for _, column in self.pieces if column is not None))

    def __str__(self) -> str:
        """Returns the template in the syntax of `parse_template`."""
        return "".join(
            literal.replace("{", "{{").replace("}", "}}") + (f"{{{column}}}" if column else "")
            for literal, column in self.pieces
        )

    def fill(self, record: Record) -> str:
        """Returns the text for a record.

        Raises:
            BadValueError: A column is missing from the record or empty.
        """
        return "".join(
            literal + (record.text(column) if column else "") for literal, column in self.pieces
        )


def choose_columns(
    table: Table,
    *,
    inputs: Sequence[str] | None,
    label: str | None,
    split: str | None,
) -> Columns:
    """Chooses the columns that are not given, by their names and, failing that, their values.

    Raises:
        UserError: A given column does not exist, or the choice is unclear.
    """
    for names, setting in ((inputs or (), "inputs"), ((label,), "label"), ((split,), "split")):
        for name in names:
            if name is not None:
                table.check_column(name, f"TaskFile.{setting}")
    if split is None:
        split = _named(table.columns, ("split",))
        values = {
            str(record.values.get(split)).strip().lower() for record in table.records if split
        }
        split = split if values & set(SPLIT_NAMES) else None
    taken = {label, split, *(inputs or ())}
    free = [name for name in table.columns if name not in taken and not _is_numbering(name)]
    if label is None:
        label = _named(free, _LABELS)
        free = [name for name in free if name != label]
    if inputs is None:
        inputs = _input_by_name(free) or _input_by_content(table, free, label is None)
        free = [name for name in free if name not in inputs]
    if label is None:
        if len(free) != 1:
            raise _unclear(table, "label", free)
        label = free[0]
    return Columns(tuple(inputs), label, split)


def parse_template(text: str) -> Template:
    """Parses `premise: {premise} hypothesis: {hypothesis}`; `{{` and `}}` are literal braces.

    Raises:
        UserError: A brace is not closed, or the template uses no column.
    """
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise UserError(
            f"TaskFile.template {text!r} cannot be read ({error}); write columns in braces, as in "
            "'premise: {premise} hypothesis: {hypothesis}', and {{ for a brace"
        ) from None
    for _, column, form, conversion in parts:
        if column == "" or form or conversion:
            raise UserError(
                f"TaskFile.template {text!r}: braces hold the name of a column and nothing else"
            )
    template = Template(tuple((literal, column) for literal, column, _, _ in parts))
    if not template.columns:
        raise UserError(
            f"TaskFile.template {text!r} uses no column; write them in braces, as in '{{text}}'"
        )
    return template


def template_of(columns: Sequence[str]) -> Template:
    """Returns the template of one column alone, or of several, each after its name."""
    if len(columns) == 1:
        return Template((("", columns[0]),))
    named = [(f"{' ' * (i > 0)}{column}: ", column) for i, column in enumerate(columns)]
    return Template(tuple(named))


def _input_by_name(free: Sequence[str]) -> tuple[str, ...]:
    for pair in _PAIRS:
        columns = [_named(free, (name,)) for name in pair]
        if all(columns):
            return tuple(column for column in columns if column)
    column = _named(free, _TEXTS)
    return (column,) if column else ()


def _input_by_content(table: Table, free: Sequence[str], label_too: bool) -> tuple[str, ...]:
    """Returns the only column left, or the one or two with text, leaving one for the label."""
    if len(free) == 1 and not label_too:
        return tuple(free)
    if len(free) == 2 and label_too:
        return (max(free, key=lambda name: _mean_words(table, name)),)
    texts = [name for name in free if _mean_words(table, name) >= _TEXT_WORDS]
    if len(texts) not in (1, 2):
        raise _unclear(table, "inputs", free)
    return tuple(texts)


def _unclear(table: Table, setting: str, free: Sequence[str]) -> UserError:
    example = {"label": "'NAME'", "inputs": "('NAME',)"}[setting]
    among = f"among {', '.join(free)}" if free else "as no column is left"
    return UserError(
        f"{table.path}: cannot tell the column of the {setting} {among} (the first line names the "
        f'columns); add --gin.TaskFile.{setting}="{example}"'
    )


def _named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """Returns the column with the earliest of the names, ignoring case; None if there is none."""
    plain = {_plain(column): column for column in reversed(columns)}
    return next((plain[name] for name in names if name in plain), None)


def _plain(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def _is_numbering(column: str) -> bool:
    return _NUMBERING.fullmatch(_plain(column)) is not None


def _mean_words(table: Table, column: str) -> float:
    values = [str(record.values.get(column, "")) for record in table.records[:_SAMPLE]]
    return sum(len(value.split()) for value in values) / len(values)
