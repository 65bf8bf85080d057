"""Prompts of a library, one a line: as a table, or as JSON."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from prompt_tuning.analysis.table import MISSING, Column, Line, Table, rendered, table_width
from prompt_tuning.transfer.library_entry import Entry

_PIPED_WIDTH = 200  # a prompt a line, for grep
_FOLDED = 500  # lines; rich takes a second to fold some thousands of them
_DIGITS = 8  # of a digest that tell prompts apart


def console() -> Console:
    """Returns the terminal, or what stands for it in a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def print_table(entries: Sequence[Entry], metric: str, similarities: Sequence[float] = ()) -> None:
    """Prints prompts as a table; one of many lines is not folded.

    Args:
        entries: The prompts.
        metric: The metric to show.
        similarities: The prompts' similarities to another, where there are any.
    """
    values = [entry.metrics.get(metric) for entry in entries]
    scores = {printable(metric): [MISSING if v is None else f"{v:.1f}" for v in values]}
    if similarities:
        scores["similarity"] = [f"{value:.3f}" for value in similarities]
    screen, table = console(), _wide(entries, scores)
    if len(entries) > _FOLDED:
        sys.stdout.writelines(_unfolded(table))
    elif table_width(table) > screen.width:
        screen.print(rendered(_narrow(entries, scores)))
    else:
        screen.print(rendered(table))


def as_json(entry: Entry, **more: Any) -> dict[str, Any]:
    """Returns a prompt as a JSON object, with `more` behind."""
    return {
        "id": entry.name,
        "path": str(entry.path),
        "digest": entry.digest,
        "shape": entry.shape,
        "has_embedding": entry.has_embedding,
        "metadata": dict(sorted(entry.metadata.items())),
        "metrics": entry.metrics,
        **more,
    }


def print_json(values: Sequence[Mapping[str, Any]]) -> None:
    """Prints JSON lines."""
    sys.stdout.writelines(f"{json.dumps(value)}\n" for value in values)


def printable(text: str) -> str:
    """Returns a text from a file without what would steer the terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _wide(entries: Sequence[Entry], scores: Mapping[str, Sequence[str]]) -> Table:
    """Returns the table with a line for each prompt."""
    texts = ("id", "name", "task", "backbone", "size", "step", "embedding")
    lines = [
        Line((entry.content[:_DIGITS], *_texts(entry), *score))
        for entry, *score in zip(entries, *scores.values(), strict=True)
    ]
    numbers = [Column(name, numeric=True) for name in scores]
    return Table([*map(Column, texts), *numbers], lines)


def _narrow(entries: Sequence[Entry], scores: Mapping[str, Sequence[str]]) -> Table:
    """Returns the table with three lines for each prompt."""
    lines = []
    for entry, *score in zip(entries, *scores.values(), strict=True):
        name, task, *facts = _texts(entry)
        text = "\n  ".join((name, task, ", ".join(facts[:2])))
        lines.append(Line((entry.content[:_DIGITS], text, "\n".join(score))))
    numbers = Column(", ".join(scores), numeric=True)
    return Table([Column("id"), Column("name\n  task\n  backbone, size"), numbers], lines)


def _texts(entry: Entry) -> list[str]:
    """Returns name, task, backbone, size, step and the step of the task embedding."""
    length, width = entry.shape
    steps = [entry.metadata.get(name, MISSING) for name in ("step", "embedding_step")]
    return [
        printable(text)
        for text in (entry.label, entry.task, entry.backbone, f"{length} x {width}", *steps)
    ]


def _unfolded(table: Table) -> Iterator[str]:
    """Yields the lines of a table, each as wide as it is."""
    rows = [[column.name for column in table.columns]]
    rows += [[str(cell) for cell in line.cells] for line in table.lines]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = [">" if column.numeric else "<" for column in table.columns]
    shape = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    for row in rows:
        yield f"{shape.format(*row).rstrip()}\n"
