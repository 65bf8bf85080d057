"""Rows of a file as examples: an input text and an answer, each checked."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prompt_tuning.data.own import answers
from prompt_tuning.data.own.answers import Kind
from prompt_tuning.data.own.problems import Problems
from prompt_tuning.data.own.table import BadValueError, Table
from prompt_tuning.data.own.template import Template
from prompt_tuning.types import nearest


class Example(NamedTuple):
    """An example as text, and the line of its file that it begins on."""

    line: int
    inputs: str
    targets: str


def read_examples(table: Table, template: Template, label: str) -> list[Example]:
    """Returns the rows of a file as examples, with answers as they stand in the file.

    Raises:
        UserError: A column is not there, or rows lack a text or an answer.
    """
    for name in (*template.columns, label):
        table.check_column(name, "a column of the input or the label")
    problems = Problems(table.path)
    examples = []
    for row in table.rows:
        try:
            examples.append(Example(row.line, template.fill(row), row.text(label)))
        except BadValueError as error:
            problems.add(row.line, str(error))
    problems.check()
    return examples


def with_words(
    table: Table, examples: Sequence[Example], kind: Kind, words: Mapping[str, str]
) -> list[Example]:
    """Returns examples with the word to answer with in place of each label.

    Args:
        table: The file they are from.
        examples: Examples with answers as they stand in the file.
        kind: What the answers are; those that are not labels stay as they are.
        words: The label word of each label.

    Raises:
        UserError: A label has no word, or an answer that must be a number is none.
    """
    problems = Problems(table.path)
    for example in examples:
        answer = example.targets
        if kind == "labels" and answer not in words:
            known = f"{nearest(answer, words)}; it has {', '.join(words)}"
            problems.add(example.line, f"label '{answer}' is not in TaskFile.label_words{known}")
        elif kind == "numbers" and not answers.is_number(answer):
            problems.add(example.line, f"'{answer[:40]}' is not a number")
    problems.check()
    return [
        example._replace(targets=words.get(example.targets, example.targets))
        for example in examples
    ]
