"""Prints prompts of a library: as a table, one in full, or as JSON lines."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console

from prompt_tuning.analysis.table import MISSING, Column, Line, Table, rendered, table_width
from prompt_tuning.transfer.library.entry import Entry
from prompt_tuning.transfer.library.provenance import Provenance

_PIPED_WIDTH = 200  # one line per prompt, for grep
_MOST_WRAPPED = 500  # lines; rich takes a second to wrap some thousands of them
_DIGITS = 8  # of a digest in tables


def print_table(entries: Sequence[Entry], metric: str, similarities: Sequence[float] = ()) -> None:
    """Prints prompts as a table; a long one is not wrapped to the screen.

    Args:
        entries: The prompts.
        metric: The metric to show.
        similarities: The prompts' similarities to the query of a search, if there is one.
    """
    values = [entry.metrics.get(metric) for entry in entries]
    scores = {_printable(metric): [MISSING if v is None else f"{v:.1f}" for v in values]}
    if similarities:
        scores["similarity"] = [f"{value:.3f}" for value in similarities]
    screen, table = _console(), _wide(entries, scores)
    if len(entries) > _MOST_WRAPPED:
        sys.stdout.writelines(_unwrapped(table))
    elif table_width(table) > screen.width:
        screen.print(rendered(_narrow(entries, scores)))
    else:
        screen.print(rendered(table))


def as_json(entry: Entry, **more: Any) -> dict[str, Any]:
    """Returns a prompt as a JSON object, with `more` at its end."""
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


def print_json(values: Iterable[Mapping[str, Any]]) -> None:
    """Prints JSON lines."""
    sys.stdout.writelines(f"{json.dumps(value)}\n" for value in values)


def print_prompt(entry: Entry, chain: Provenance) -> None:
    """Prints a prompt's metadata and the chain of prompts that it was tuned from."""
    screen = _console()
    screen.print(rendered(_metadata_table(entry)))
    screen.print()
    screen.print(rendered(_chain_table(entry, chain)))


def _console() -> Console:
    """Returns a console as wide as the terminal, or wide enough for a pipe."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def _printable(text: str) -> str:
    """Replaces the characters of a text that could control the terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _wide(entries: Sequence[Entry], scores: Mapping[str, Sequence[str]]) -> Table:
    """Returns the table with one line per prompt."""
    texts = ("id", "name", "task", "backbone", "size", "step", "embedding")
    lines = [
        Line((entry.content[:_DIGITS], *_texts(entry), *score))
        for entry, *score in zip(entries, *scores.values(), strict=True)
    ]
    numbers = [Column(name, numeric=True) for name in scores]
    return Table([*map(Column, texts), *numbers], lines)


def _narrow(entries: Sequence[Entry], scores: Mapping[str, Sequence[str]]) -> Table:
    """Returns the table with three lines per prompt."""
    lines = []
    for entry, *score in zip(entries, *scores.values(), strict=True):
        name, task, backbone, size, *_ = _texts(entry)
        text = f"{name}\n  {task}\n  {backbone}, {size}"
        lines.append(Line((entry.content[:_DIGITS], text, "\n".join(score))))
    numbers = Column(", ".join(scores), numeric=True)
    return Table([Column("id"), Column("name\n  task\n  backbone, size"), numbers], lines)


def _texts(entry: Entry) -> list[str]:
    """Returns name, task, backbone, size, step, and the step of the task embedding."""
    steps = [entry.metadata.get(name, MISSING) for name in ("step", "embedding_step")]
    return [
        _printable(text)
        for text in (entry.label, entry.task, entry.backbone, entry.size_text, *steps)
    ]


def _unwrapped(table: Table) -> Iterator[str]:
    """Yields the lines of a table at their full width."""
    rows = [[column.name for column in table.columns]]
    rows += [[str(cell) for cell in line.cells] for line in table.lines]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    sides = [">" if column.numeric else "<" for column in table.columns]
    shape = "  ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    for row in rows:
        yield f"{shape.format(*row).rstrip()}\n"


def _metadata_table(entry: Entry) -> Table:
    metrics = [f"{name} {value:g}" for name, value in entry.metrics.items()]
    step = entry.metadata.get("embedding_step", "unknown")
    facts = {
        "id": entry.name,
        "path": str(entry.path),
        "digest": entry.digest,
        **dict(sorted(entry.metadata.items())),
        "metrics": ", ".join(metrics) or MISSING,
        "embedding": f"after step {step}" if entry.has_embedding else "none: the prompt itself",
    }
    lines = [Line((_printable(name), _printable(value))) for name, value in facts.items()]
    return Table([Column("prompt"), Column(_printable(entry.label))], lines)


def _chain_table(entry: Entry, chain: Provenance) -> Table:
    lines = []
    for link in (entry, *chain.sources):
        texts = (link.name, link.task, link.metadata.get("step", MISSING))
        lines.append(Line([_printable(text) for text in texts]))
    columns = [Column("provenance"), Column("task"), Column("step", numeric=True)]
    return Table(columns, lines, note=_first_start(chain))


def _first_start(chain: Provenance) -> str:
    """Returns a sentence about the start of the last prompt of a chain."""
    start = _printable(chain.start) or "unknown"
    ends = {
        "initializer": "",
        "absent": ", which is not in this library",
        "circle": ", which is listed above: its metadata was changed",
    }
    return f"The last prompt started from: {start}{ends[chain.end]}."
