"""Tables, and their renderings: for the terminal, Markdown, HTML, CSV and LaTeX."""

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterable, Sequence
from html import escape

import rich.box
import rich.console
import rich.table
import rich.text

from prompt_tuning.analysis.statistics import Spread

MISSING = "-"
_WHOLE = 32  # a first column up to this width is never folded
_FOLDED = 16  # width that other text columns keep if there is room


@dataclasses.dataclass(frozen=True)
class Score:
    """Our score and the published one; None where missing."""

    ours: Spread | None
    published: float | None = None

    def __str__(self) -> str:
        """Returns `82.0 ± 0.3 [82.8]`: mean, standard deviation, and the published score."""
        return " ".join(_parts(self))


@dataclasses.dataclass(frozen=True)
class Decimal:
    """A number that is shown with `digits` decimals, but unrounded in CSV."""

    value: float
    digits: int

    def __str__(self) -> str:
        return f"{self.value:z.{self.digits}f}"


@dataclasses.dataclass(frozen=True)
class Probability(Decimal):
    """A p value; shown as `<0.001` where it is too small for three decimals."""

    digits: int = 3

    def __str__(self) -> str:
        return "<0.001" if self.value < 0.0005 else super().__str__()


Cell = str | int | float | bool | Decimal | Score | None
"""A cell; None is missing, and a float is shown with one decimal but unrounded in CSV."""


@dataclasses.dataclass(frozen=True)
class Column:
    """A column's heading; numbers are right-aligned and never wrapped."""

    name: str
    numeric: bool = False


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of cells; a strong one, such as a mean, is set off from the lines above."""

    cells: Sequence[Cell]
    strong: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns and lines, with a title above and a note below."""

    columns: Sequence[Column]
    lines: Sequence[Line]
    title: str = ""
    note: str = ""


def rendered(table: Table) -> rich.console.Group:
    """Returns the table for rich's console, which folds text on a narrow terminal.

    The first column, which names the lines, is not folded.
    """
    plain = rich.table.Table(box=rich.box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for index, column in enumerate(table.columns):
        # Text, because rich would read brackets in a string as markup.
        if column.numeric:
            heading = rich.text.Text(_heading(column.name))
            plain.add_column(heading, justify="right", no_wrap=True)
        else:
            named = index == 0 and _widest(table, index) <= _WHOLE
            plain.add_column(rich.text.Text(column.name), overflow="fold", no_wrap=named)
    for line, after in itertools.zip_longest(table.lines, table.lines[1:]):
        cells = [rich.text.Text("\n".join(_parts(cell))) for cell in line.cells]
        ends = after is not None and after.strong and not line.strong
        plain.add_row(*cells, end_section=ends, style="bold" if line.strong else None)
    above = [rich.text.Text(table.title)] if table.title else []
    below = [rich.text.Text(table.note)] if table.note else []
    return rich.console.Group(*above, plain, *below)


def table_width(table: Table) -> int:
    """Returns the terminal width that shows the table without folding."""
    return sum(_widest(table, index) + 2 for index in range(len(table.columns)))


def text(table: Table, width: int) -> str:
    """Returns the table as plain text `width` wide, or as wide as its numbers need."""
    needed = 0
    for index, column in enumerate(table.columns):
        widest = _widest(table, index)
        most = widest if column.numeric else _WHOLE if index == 0 else _FOLDED
        needed += 3 + min(widest, most)
    screen = io.StringIO()
    console = rich.console.Console(file=screen, width=max(width, needed), color_system=None)
    console.print(rendered(table))
    return "".join(f"{line.rstrip()}\n" for line in screen.getvalue().splitlines())


def markdown(table: Table) -> str:
    """Returns the table in Markdown."""
    header = [column.name for column in table.columns]
    rules = ["---:" if column.numeric else "---" for column in table.columns]
    body = [
        [f"**{cell}**" if line.strong and cell else cell for cell in map(_escaped, line.cells)]
        for line in table.lines
    ]
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in (header, rules, *body))
    title = f"{table.title}:\n\n" if table.title else ""
    note = f"\n{table.note}\n" if table.note else ""
    return title + lines + note


def html(table: Table) -> str:
    """Returns the table as HTML, in a box that scrolls where the page is narrow."""
    heads = "".join(
        f'<th scope="col"{_number(column)}>{escape(column.name)}</th>' for column in table.columns
    )
    lines = "".join(_html_line(table, line) for line in table.lines)
    caption = f"<figcaption>{escape(table.title)}</figcaption>\n" if table.title else ""
    note = f'<p class="note">{escape(table.note)}</p>\n' if table.note else ""
    return (
        f'<figure>\n{caption}<div class="scroll" role="region" tabindex="0" '
        f'aria-label="{escape(table.title or "table")}">\n<table>\n<thead><tr>{heads}</tr>'
        f"</thead>\n<tbody>\n{lines}</tbody>\n</table>\n</div>\n{note}</figure>\n"
    )


def comma_separated(table: Table) -> str:
    """Returns the table as CSV, with numbers unrounded and missing cells empty.

    A column of scores becomes several: the mean under its name, `std`, `n`, and `published` where
    the column has a published score.
    """
    columns = list(zip(*(line.cells for line in table.lines), strict=True)) or [()] * len(
        table.columns
    )
    header: list[str] = []
    values: list[Sequence[Cell]] = []
    for column, cells in zip(table.columns, columns, strict=True):
        for name, part in _csv_columns(column.name, cells):
            header.append(name)
            values.append(part)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*values, strict=True))
    return out.getvalue()


def latex(table: Table) -> str:
    """Returns the table in LaTeX, with booktabs rules."""
    header = " & ".join(_latex_text(column.name) for column in table.columns)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_latex_text('. '.join(filter(None, (table.title, table.note))))}}}",
        rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in table.columns)}}}",
        r"\toprule",
        rf"{header} \\",
        r"\midrule",
    ]
    plain_before = False
    for line in table.lines:
        if line.strong and plain_before:
            lines.append(r"\midrule")
        plain_before = not line.strong
        cells = [_latex_text(" ".join(_parts(cell))) for cell in line.cells]
        cells = [rf"\textbf{{{cell}}}" if line.strong and cell else cell for cell in cells]
        # LaTeX would read an opening bracket as the argument of the `\\` before it.
        guard = "{}" if cells[0].startswith("[") else ""
        lines.append(rf"{guard}{' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def _widest(table: Table, index: int) -> int:
    """Returns the width of a column in letters, with its heading."""
    parts = [part for line in table.lines for part in _parts(line.cells[index])]
    lines = [line for part in parts for line in part.split("\n")]
    return max(map(len, [*_heading(table.columns[index].name).split("\n"), *lines]))


def _parts(cell: Cell) -> list[str]:
    """Returns the parts of a cell's text; a published score is a part of its own."""
    if cell is None:
        return [MISSING]
    if isinstance(cell, float):
        return [f"{cell:z.1f}"]
    if not isinstance(cell, Score):
        return [str(cell)]
    published = [] if cell.published is None else [f"[{cell.published:.1f}]"]
    if cell.ours is None:
        return [MISSING, *published]
    std = "" if cell.ours.std is None else f" ± {cell.ours.std:.1f}"
    return [f"{cell.ours.mean:.1f}{std}", *published]


def _heading(name: str) -> str:
    return "\n".join(name.split(", ") if ", " in name else name.rsplit(" ", 1))


def _escaped(cell: Cell) -> str:
    return " ".join(_parts(cell)).replace("|", "\\|")


def _number(column: Column) -> str:
    return ' class="number"' if column.numeric else ""


def _html_line(table: Table, line: Line) -> str:
    name, *cells = [escape(" ".join(_parts(cell))) for cell in line.cells]
    rest = "".join(
        f"<td{_number(column)}>{cell}</td>"
        for column, cell in zip(table.columns[1:], cells, strict=True)
    )
    strong = ' class="strong"' if line.strong else ""
    return f'<tr{strong}><th scope="row">{name}</th>{rest}</tr>\n'


def _latex_text(plain: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in plain)


def _csv_columns(name: str, cells: Sequence[Cell]) -> Iterable[tuple[str, Sequence[Cell]]]:
    scores = [cell if isinstance(cell, Score) else Score(None) for cell in cells]
    if not any(isinstance(cell, Score) for cell in cells):
        yield name, [cell.value if isinstance(cell, Decimal) else cell for cell in cells]
        return
    spreads = [score.ours for score in scores]
    yield name, [spread and spread.mean for spread in spreads]
    yield f"{name} std", [spread and spread.std for spread in spreads]
    yield f"{name} n", [spread.n if spread else 0 for spread in spreads]
    if any(score.published is not None for score in scores):
        yield f"{name} published", [score.published for score in scores]
