"""The table of a transfer run: on each target, transfer beside prompt tuning without it."""

import dataclasses
from collections.abc import Mapping, Sequence

import rich.console

from prompt_tuning.analysis import table as rendering
from prompt_tuning.analysis.statistics import (
    CLASS_LABELS,
    SAMPLED_VOCABULARY,
    SPOT,
    Condition,
    PairedDifference,
    Row,
    Spread,
    at_fraction,
    paired_difference,
    spread,
    target_rows,
)
from prompt_tuning.analysis.table import Cell, Column, Score, Table

STARTS: Mapping[Condition, str] = {
    CLASS_LABELS: "class labels",
    SAMPLED_VOCABULARY: "sampled vocab",
    SPOT: "SPoT",
}
"""The starts that are compared, with their names in tables and plots."""


_CAPTION = "score (0-100), mean ± standard deviation over seeds"
_COMPARISON_CAPTION = "SPoT less another start, mean ± standard error over pairs of target and seed"


@dataclasses.dataclass(frozen=True)
class Line:
    """One target: its scores by start, and SPoT's mean less that of class labels."""

    target: str
    source: str
    scores: Mapping[Condition, Spread | None]
    shares_words: bool | None

    @property
    def difference(self) -> float | None:
        """Returns mean(SPoT) - mean(class labels), None where one of them is missing."""
        spot, labels = self.scores[SPOT], self.scores[CLASS_LABELS]
        return spot.mean - labels.mean if spot and labels else None


@dataclasses.dataclass(frozen=True)
class Comparison:
    """SPoT less another start, over all pairs of target and seed, in scores of one moment."""

    other: Condition
    moment: str
    difference: PairedDifference

    def __str__(self) -> str:
        found = self.difference
        error = "" if found.standard_error is None else f" ± {found.standard_error:.2f}"
        return f"{found.mean:+.2f}{error}"


@dataclasses.dataclass(frozen=True)
class SpotTable:
    """The lines of the targets, of their mean, the paired comparisons, and what is scored."""

    lines: tuple[Line, ...]
    mean: Line
    comparisons: tuple[Comparison, ...]
    split: str


def spot_table(rows: Sequence[Row], shares_words: Mapping[str, bool] | None = None) -> SpotTable:
    """Compares the three starts on every target of transfer.

    A score is a mean over seeds with its sample standard deviation; the deviation of the last line
    is that, over seeds, of the mean over targets.

    Args:
        rows: rows of `results.json`; those that tuned source prompts are left out.
        shares_words: for each target, whether its label words are among its source's.
    """
    rows = target_rows(rows)
    spot_rows = [row for row in rows if SPOT.matches(row)]
    sources: dict[str, dict[str, None]] = {}
    for row in spot_rows:
        sources.setdefault(row["target"], {})[row["source"] or "?"] = None
    lines = tuple(
        Line(
            target,
            ", ".join(names),
            {start: _scores(rows, start, target) for start in STARTS},
            (shares_words or {}).get(target),
        )
        for target, names in sources.items()
    )
    mean = Line("mean", "", {start: _mean_scores(rows, start) for start in STARTS}, None)
    split = " or ".join(sorted({row["split"] for row in spot_rows}))
    return SpotTable(lines, mean, tuple(_comparisons(rows, split)), split)


def rendered(table: SpotTable) -> rich.console.Group:
    """Returns the table for the terminal, at most 100 columns wide; rich's console prints it."""
    return rich.console.Group(
        rendering.rendered(_score_table(table)), "", rendering.rendered(_comparison_table(table))
    )


def markdown(table: SpotTable) -> str:
    """Returns the table and its comparisons in Markdown."""
    scores, comparisons = _score_table(table), _comparison_table(table)
    return f"{rendering.markdown(scores)}\n{rendering.markdown(comparisons)}"


def comma_separated(table: SpotTable) -> str:
    """Returns the table as CSV, one line for each target and start, numbers unrounded."""
    lines = []
    for line in (*table.lines, table.mean):
        for start, name in STARTS.items():
            found = line.scores[start]
            numbers = [found.mean, found.std, found.n] if found else [None, None, 0]
            cells = [line.target, line.source, name, *numbers, line.shares_words]
            lines.append(rendering.Line(cells))
    names = ("target", "source", "start", "mean", "std", "n", "shares_words")
    return rendering.comma_separated(Table([Column(name) for name in names], lines))


def _scores(rows: Sequence[Row], start: Condition, target: str) -> Spread | None:
    mine = [row for row in rows if start.matches(row) and row["target"] == target]
    return spread([row["score"] for row in mine if row["score"] is not None])


def _mean_scores(rows: Sequence[Row], start: Condition) -> Spread | None:
    """Returns the spread, over seeds, of the mean over targets."""
    by_seed: dict[int, list[float]] = {}
    for row in filter(start.matches, rows):
        if row["score"] is not None:
            by_seed.setdefault(row["seed"], []).append(row["score"])
    return spread([sum(scores) / len(scores) for scores in by_seed.values()])


def _comparisons(rows: Sequence[Row], split: str) -> list[Comparison]:
    moments = {
        split: rows,
        "validation, 1/4 of the steps": at_fraction(rows, 0.25),
    }
    found = []
    for name, scored in moments.items():
        for other in (CLASS_LABELS, SAMPLED_VOCABULARY):
            difference = paired_difference(scored, SPOT, other)
            if difference:
                found.append(Comparison(other, name, difference))
    return found


def _comparison_table(table: SpotTable) -> Table:
    """Returns a line for each other start, a column for each moment."""
    moments = list(dict.fromkeys(c.moment for c in table.comparisons))
    others = list(dict.fromkeys(c.other for c in table.comparisons))
    cells = {(c.other, c.moment): c for c in table.comparisons}
    lines = []
    for other in others:
        found = [cells.get((other, moment)) for moment in moments]
        pairs = max(c.difference.n for c in found if c)
        shown = [str(c) if c else None for c in found]
        lines.append(rendering.Line([STARTS[other], *shown, pairs]))
    columns = [Column("SPoT -"), *(Column(name, numeric=True) for name in (*moments, "pairs"))]
    return Table(columns, lines, _COMPARISON_CAPTION)


def _score_table(table: SpotTable) -> Table:
    words = any(line.shares_words is not None for line in table.lines)
    numeric = [*STARTS.values(), "SPoT - labels", *(["words"] if words else [])]
    columns = [Column("target"), Column("source"), *(Column(n, numeric=True) for n in numeric)]
    lines = [rendering.Line(_cells(line, words)) for line in table.lines]
    lines.append(rendering.Line(_cells(table.mean, words), strong=True))
    return Table(columns, lines, f"{table.split.capitalize()} {_CAPTION}")


def _cells(line: Line, words: bool) -> list[Cell]:
    difference = None if line.difference is None else f"{line.difference:+.1f}"
    scores = [Score(found) for found in line.scores.values()]
    shared = {True: "shared", False: "other", None: ""}[line.shares_words]
    return [line.target, line.source, *scores, difference, *([shared] if words else [])]
