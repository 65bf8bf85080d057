"""How the columns of a row become one input text."""

import string
from collections.abc import Sequence
from dataclasses import dataclass

from prompt_tuning.data.own.table import Row
from prompt_tuning.types import UserError


@dataclass(frozen=True)
class Template:
    """Writes columns of a row into a text.

    Attributes:
        pieces: Literal text and the column that follows it; the last one may have none (None).
    """

    pieces: tuple[tuple[str, str | None], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it uses, in order."""
        return tuple(dict.fromkeys(column for _, column in self.pieces if column is not None))

    def __str__(self) -> str:
        """Writes it as `parse` reads it."""
        return "".join(
            literal.replace("{", "{{").replace("}", "}}") + (f"{{{column}}}" if column else "")
            for literal, column in self.pieces
        )

    def fill(self, row: Row) -> str:
        """Returns the text of a row.

        Raises:
            BadValueError: The row lacks a column, or it is empty.
        """
        return "".join(
            literal + (row.text(column) if column else "") for literal, column in self.pieces
        )


def parse(text: str) -> Template:
    """Reads `premise: {premise} hypothesis: {hypothesis}`; `{{` and `}}` are braces.

    Raises:
        UserError: A brace is not closed, or there is no column in it.
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


def of_columns(columns: Sequence[str]) -> Template:
    """Returns the text of one column as it is, or that of several after their names."""
    if len(columns) == 1:
        return Template((("", columns[0]),))
    named = [(f"{' ' * (i > 0)}{column}: ", column) for i, column in enumerate(columns)]
    return Template(tuple(named))
