"""The report of a SPoT run: tables and learning curves, with and without transfer."""

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
    Record,
    Spread,
    at_fraction,
    group_by,
    mean_curve,
    paired_difference,
    spread,
    target_records,
)
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STARTS: Mapping[Condition, str] = {
    CLASS_LABELS: "class labels",
    SAMPLED_VOCABULARY: "sampled vocab",
    SPOT: "SPoT",
}
"""The compared starts, with their names in tables and figures."""

_CAPTION = "score (0-100), mean ± standard deviation over seeds"
_WORDS_NOTE = 'words: "shared" if target and source have a label word in common, else "other"'
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
class SpotTables:
    """The tables of a transfer run.

    Attributes:
        scores: A line for each target and their mean, a column for each start.
        comparisons: A line for each other start: SPoT minus it, at two moments of training.
        by_start: The scores, with a line for each target and start; for CSV.
    """

    scores: Table
    comparisons: Table
    by_start: Table

    def rendered(self) -> rich.console.Group:
        """Returns scores and comparisons for rich's console, at most 100 columns wide."""
        tables = rendering.rendered(self.scores), rendering.rendered(self.comparisons)
        return rich.console.Group(tables[0], "", tables[1])

    def markdown(self) -> str:
        """Returns scores and comparisons in Markdown."""
        return f"{rendering.markdown(self.scores)}\n{rendering.markdown(self.comparisons)}"

    def comma_separated(self) -> str:
        """Returns the scores as CSV, one line for each target and start, numbers unrounded."""
        return rendering.comma_separated(self.by_start)


def spot_tables(
    records: Sequence[Record], shares_words: Mapping[str, bool] | None = None
) -> SpotTables:
    """Compares the three starts on every target of transfer.

    A score is a mean over seeds with its sample standard deviation; the deviation of the last line
    is that, over seeds, of the mean over targets.

    Args:
        records: The records of the run; those of source prompts are left out.
        shares_words: By target, whether it has a label word in common with its source.
    """
    records = target_records(records)
    by_target = group_by(filter(SPOT.matches, records), lambda record: record["target"])
    split = " or ".join(sorted({r["split"] for group in by_target.values() for r in group}))
    words = {target: (shares_words or {}).get(target) for target in by_target}
    has_words = any(shared is not None for shared in words.values())
    lines, by_start = [], []
    for target in (*by_target, None):  # None for the mean over targets.
        sources = dict.fromkeys(r["source"] or "?" for r in by_target.get(target, ()))
        scores = {
            start: _score(records, start, target) if target else _mean_score(records, start)
            for start in STARTS
        }
        cells: list[Cell] = [target or "mean", ", ".join(sources), *map(Score, scores.values())]
        spot, labels = scores[SPOT], scores[CLASS_LABELS]
        cells.append(f"{spot.mean - labels.mean:+.1f}" if spot and labels else None)
        if has_words:
            cells.append({True: "shared", False: "other", None: ""}[words.get(target)])
        lines.append(Line(cells, strong=target is None))
        for start, score in scores.items():
            numbers = [score.mean, score.std, score.n] if score else [None, None, 0]
            by_start.append(Line([*cells[:2], STARTS[start], *numbers, words.get(target)]))
    numeric = [*STARTS.values(), "SPoT - labels", *(["words"] if has_words else [])]
    columns = [Column("target"), Column("source"), *(Column(name, True) for name in numeric)]
    names = ("target", "source", "start", "mean", "std", "n", "shares_words")
    return SpotTables(
        Table(columns, lines, f"{split.capitalize()} {_CAPTION}", _WORDS_NOTE if has_words else ""),
        _comparison_table(records, split),
        Table([Column(name) for name in names], by_start),
    )


def draw_learning_curves(records: Sequence[Record], path: Path) -> None:
    """Draws validation score against step: the mean over targets, and a panel for each target.

    A line is the mean over seeds, its band the range over seeds. The picture is 1200 pixels wide.
    """
    records = target_records(records)
    by_target = group_by(records, lambda record: record["target"])
    heights = -(-(len(by_target) + 4) // _COLUMNS)
    figure = figures.new_figure(12, 0.7 + 2.1 * heights)
    grid = figure.add_gridspec(heights, _COLUMNS)
    overall = figure.add_subplot(grid[0:2, 0:2])
    _draw(overall, {start: _mean_curves(by_target, start) for start in _STYLES}, large=True)
    figures.label_learning_curves(overall, f"mean over {len(by_target)} targets")
    _mark_quarter(overall, records)
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


def _scored(records: Sequence[Record], start: Condition) -> list[Record]:
    return [r for r in records if start.matches(r) and r["score"] is not None]


def _score(records: Sequence[Record], start: Condition, target: str) -> Spread | None:
    return spread([r["score"] for r in _scored(records, start) if r["target"] == target])


def _mean_score(records: Sequence[Record], start: Condition) -> Spread | None:
    """Returns the spread, over seeds, of the mean over targets."""
    by_seed = group_by(_scored(records, start), lambda record: record["seed"])
    return spread([sum(r["score"] for r in group) / len(group) for group in by_seed.values()])


def _comparison_table(records: Sequence[Record], split: str) -> Table:
    moments = {split: records, "validation, 1/4 of the steps": at_fraction(records, 0.25)}
    differences = {
        (other, moment): difference
        for moment, scored in moments.items()
        for other in (CLASS_LABELS, SAMPLED_VOCABULARY)
        if (difference := paired_difference(scored, SPOT, other))
    }
    columns = dict.fromkeys(moment for _, moment in differences)
    lines = []
    for other in dict.fromkeys(other for other, _ in differences):
        cells = [differences.get((other, moment)) for moment in columns]
        pairs = max(cell.n for cell in cells if cell)
        lines.append(Line([STARTS[other], *(cell and cell.text(2) for cell in cells), pairs]))
    headings = [Column("SPoT -"), *(Column(name, numeric=True) for name in (*columns, "pairs"))]
    return Table(headings, lines, _COMPARISON_CAPTION)


def _curves(records: Sequence[Record], start: Condition) -> _Curves:
    return {r["seed"]: dict(r["curve"] or []) for r in filter(start.matches, records)}


def _mean_curves(by_target: Mapping[str, Sequence[Record]], start: Condition) -> _Curves:
    """Returns, for each seed, the mean over targets at the steps that all of them have."""
    curves = [pair for records in by_target.values() for pair in _curves(records, start).items()]
    by_seed = group_by(curves, lambda pair: pair[0])
    return {seed: mean_curve(curve for _, curve in pairs) for seed, pairs in by_seed.items()}


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


def _mark_quarter(axes: "Axes", records: Sequence[Record]) -> None:
    """Marks a quarter of the steps, the second moment of the comparison table."""
    quarter = max((record["steps"] or 0 for record in records), default=0) / 4
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
