"""The report of a transfer run: transfer beside prompt tuning without it, as table and curves."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich.console

from prompt_tuning.analysis import figures
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
    mean_curve,
    paired_difference,
    spread,
    target_rows,
)
from prompt_tuning.analysis.table import Cell, Column, Score, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STARTS: Mapping[Condition, str] = {
    CLASS_LABELS: "class labels",
    SAMPLED_VOCABULARY: "sampled vocab",
    SPOT: "SPoT",
}
"""The starts that are compared, with their names in tables and figures."""

_CAPTION = "score (0-100), mean ± standard deviation over seeds"
_COMPARISON_CAPTION = (
    "SPoT minus another start, mean ± standard error over pairs of target and seed"
)
_STYLES = {
    SPOT: {"color": figures.PALETTE[0], "linestyle": "-", "linewidth": 1.8},
    CLASS_LABELS: {"color": figures.PALETTE[1], "linestyle": "--", "linewidth": 1.8},
    SAMPLED_VOCABULARY: {"color": figures.PALETTE[2], "linestyle": ":", "linewidth": 1.8},
}
_COLUMNS = 4
_ROUND = [1, 2, 5, 10]
_Curves = Mapping[int, Mapping[int, float]]  # score by step, by seed


@dataclasses.dataclass(frozen=True)
class TargetLine:
    """One target: its scores by start, and SPoT's mean minus that of class labels."""

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
class StartDifference:
    """SPoT minus another start, over all pairs of target and seed, in scores of one moment."""

    other: Condition
    moment: str
    difference: PairedDifference

    def __str__(self) -> str:
        mean, error = self.difference.mean, self.difference.standard_error
        return f"{mean:+.2f}" + ("" if error is None else f" ± {error:.2f}")


@dataclasses.dataclass(frozen=True)
class SpotTable:
    """The lines of the targets, of their mean, the paired comparisons, and what is scored."""

    lines: tuple[TargetLine, ...]
    mean: TargetLine
    comparisons: tuple[StartDifference, ...]
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
        TargetLine(
            target,
            ", ".join(names),
            {start: _scores(rows, start, target) for start in STARTS},
            (shares_words or {}).get(target),
        )
        for target, names in sources.items()
    )
    mean = TargetLine("mean", "", {start: _mean_scores(rows, start) for start in STARTS}, None)
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
            score = line.scores[start]
            numbers = [score.mean, score.std, score.n] if score else [None, None, 0]
            cells = [line.target, line.source, name, *numbers, line.shares_words]
            lines.append(rendering.Line(cells))
    names = ("target", "source", "start", "mean", "std", "n", "shares_words")
    return rendering.comma_separated(Table([Column(name) for name in names], lines))


def curves_plot(rows: Sequence[Row], path: Path) -> None:
    """Draws validation score against step: the mean over targets, and a panel for each target.

    A line is the mean over seeds, its band the range over seeds. The picture is 1200 pixels wide.
    """
    rows = target_rows(rows)
    targets = list(dict.fromkeys(row["target"] for row in rows))
    by_target = {target: [row for row in rows if row["target"] == target] for target in targets}
    heights = -(-(len(targets) + 4) // _COLUMNS)
    figure = figures.new_figure(12, 0.7 + 2.1 * heights)
    grid = figure.add_gridspec(heights, _COLUMNS)
    overall = figure.add_subplot(grid[0:2, 0:2])
    _draw(overall, {start: _mean_over_targets(by_target, start) for start in _STYLES}, large=True)
    figures.label_learning_curves(overall, f"mean over {len(targets)} targets")
    _mark_quarter(overall, rows)
    cells = [(r, c) for r in range(heights) for c in range(_COLUMNS) if r > 1 or c > 1]
    for (target, of_target), cell in zip(by_target.items(), cells, strict=False):
        axes = figure.add_subplot(grid[cell])
        _draw(axes, {start: _curves(of_target, start) for start in _STYLES}, large=False)
        axes.set_title(target, fontsize=10)
    handles, _ = overall.get_legend_handles_labels()
    figure.legend(
        handles=handles, loc="outside upper center", ncols=len(_STYLES), frameon=False, fontsize=12
    )
    figures.save_png(figure, path)


def _scores(rows: Sequence[Row], start: Condition, target: str) -> Spread | None:
    of_target = [row for row in rows if start.matches(row) and row["target"] == target]
    return spread([row["score"] for row in of_target if row["score"] is not None])


def _mean_scores(rows: Sequence[Row], start: Condition) -> Spread | None:
    """Returns the spread, over seeds, of the mean over targets."""
    by_seed: dict[int, list[float]] = {}
    for row in filter(start.matches, rows):
        if row["score"] is not None:
            by_seed.setdefault(row["seed"], []).append(row["score"])
    return spread([sum(scores) / len(scores) for scores in by_seed.values()])


def _comparisons(rows: Sequence[Row], split: str) -> list[StartDifference]:
    moments = {
        split: rows,
        "validation, 1/4 of the steps": at_fraction(rows, 0.25),
    }
    comparisons = []
    for name, scored in moments.items():
        for other in (CLASS_LABELS, SAMPLED_VOCABULARY):
            difference = paired_difference(scored, SPOT, other)
            if difference:
                comparisons.append(StartDifference(other, name, difference))
    return comparisons


def _comparison_table(table: SpotTable) -> Table:
    """Returns a line for each other start, a column for each moment."""
    moments = list(dict.fromkeys(c.moment for c in table.comparisons))
    others = list(dict.fromkeys(c.other for c in table.comparisons))
    cells = {(c.other, c.moment): c for c in table.comparisons}
    lines = []
    for other in others:
        of_moments = [cells.get((other, moment)) for moment in moments]
        pairs = max(c.difference.n for c in of_moments if c)
        differences = [str(c) if c else None for c in of_moments]
        lines.append(rendering.Line([STARTS[other], *differences, pairs]))
    columns = [Column("SPoT -"), *(Column(name, numeric=True) for name in (*moments, "pairs"))]
    return Table(columns, lines, _COMPARISON_CAPTION)


def _score_table(table: SpotTable) -> Table:
    words = any(line.shares_words is not None for line in table.lines)
    numeric = [*STARTS.values(), "SPoT - labels", *(["words"] if words else [])]
    columns = [Column("target"), Column("source"), *(Column(n, numeric=True) for n in numeric)]
    lines = [rendering.Line(_cells(line, words)) for line in table.lines]
    lines.append(rendering.Line(_cells(table.mean, words), strong=True))
    return Table(columns, lines, f"{table.split.capitalize()} {_CAPTION}")


def _cells(line: TargetLine, words: bool) -> list[Cell]:
    difference = None if line.difference is None else f"{line.difference:+.1f}"
    scores = [Score(score) for score in line.scores.values()]
    shared = {True: "shared", False: "other", None: ""}[line.shares_words]
    return [line.target, line.source, *scores, difference, *([shared] if words else [])]


def _curves(rows: Sequence[Row], start: Condition) -> _Curves:
    return {row["seed"]: dict(row["curve"] or []) for row in filter(start.matches, rows)}


def _mean_over_targets(by_target: Mapping[str, Sequence[Row]], start: Condition) -> _Curves:
    """Returns, for each seed, the mean over targets at the steps that all of them have."""
    by_seed: dict[int, list[Mapping[int, float]]] = {}
    for rows in by_target.values():
        for seed, curve in _curves(rows, start).items():
            by_seed.setdefault(seed, []).append(curve)
    return {seed: mean_curve(curves) for seed, curves in by_seed.items()}


def _draw(axes: "Axes", curves: Mapping[Condition, _Curves], *, large: bool) -> None:
    figures.draw_curves(
        axes,
        [
            figures.seed_curve(list(by_seed.values()), label=STARTS[start], style=_STYLES[start])
            for start, by_seed in curves.items()
        ],
    )
    figures.thin_frame(axes)
    axes.locator_params(axis="x", nbins=6 if large else 4, integer=True, steps=_ROUND)
    axes.locator_params(axis="y", nbins=6 if large else 4, steps=_ROUND)
    axes.tick_params(labelsize=10 if large else 9)
    axes.set_xlim(left=0)


def _mark_quarter(axes: "Axes", rows: Sequence[Row]) -> None:
    """Marks the moment of the second comparison."""
    quarter = max((row["steps"] or 0 for row in rows), default=0) / 4
    axes.axvline(quarter, color="0.6", linewidth=1, linestyle=(0, (1, 2)))
    axes.annotate(
        "a quarter of the steps",
        (quarter, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=9,
        color="0.4",
    )
