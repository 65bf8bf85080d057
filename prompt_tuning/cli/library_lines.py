"""Prompts of a library, one a line: as a table, or as JSON."""

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    screen = console()
    table = _table(entries, metric, similarities, stacked=False)
    if len(entries) > _FOLDED:
        sys.stdout.writelines(_unfolded(table))
    elif table_width(table) > screen.width:
        screen.print(rendered(_table(entries, metric, similarities, stacked=True)))
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
    return "".join(letter if letter.isprintable() else "?" for letter in text)


_HEADS = (("id",), ("name", "task"), ("backbone", "size"), ("step", "embedding"))


def _table(
    entries: Sequence[Entry], metric: str, similarities: Sequence[float], *, stacked: bool
) -> Table:
    """Returns the table of prompts; a stacked one has two lines for each, and is half as wide."""

    def arranged(groups: Iterable[Sequence[str]]) -> list[str]:
        if stacked:
            return ["\n  ".join(group) for group in groups]
        return list(itertools.chain.from_iterable(groups))

    numbers = [printable(metric), *(["similarity"] if similarities else [])]
    lines = []
    for i, entry in enumerate(entries):
        texts = arranged([[printable(text) for text in group] for group in _cells(entry)])
        similarity = [f"{similarities[i]:.3f}"] if similarities else []
        lines.append(Line((*texts, entry.metrics.get(metric), *similarity)))
    heads = [Column(name) for name in arranged(_HEADS)]
    return Table([*heads, *(Column(name, numeric=True) for name in numbers)], lines)


def _cells(entry: Entry) -> list[tuple[str, ...]]:
    """Returns the cells below `_HEADS`."""
    length, width = entry.shape
    return [
        (entry.content[:_DIGITS],),
        (entry.label, entry.task),
        (entry.backbone, f"{length} x {width}"),
        (entry.metadata.get("step", MISSING), entry.metadata.get("embedding_step", MISSING)),
    ]


def _unfolded(table: Table) -> Iterator[str]:
    """Yields the lines of a table, each as wide as it is."""
    rows = [[column.name for column in table.columns]]
    for line in table.lines:
        cells = [f"{cell:.1f}" if isinstance(cell, float) else cell for cell in line.cells]
        rows.append([MISSING if cell is None else str(cell) for cell in cells])
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = [">" if column.numeric else "<" for column in table.columns]
    shape = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    for row in rows:
        yield f"{shape.format(*row).rstrip()}\n"
