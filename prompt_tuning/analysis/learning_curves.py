"""Learning curves of a study's targets: without transfer, from the best source, and from others."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prompt_tuning.analysis import drawing
from prompt_tuning.analysis.page import Panel
from prompt_tuning.analysis.statistics import finite_mean, mean_curve
from prompt_tuning.analysis.study import Study
from prompt_tuning.analysis.table import Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_SIZE = (3.4, 2.6)  # inches
_MOST_POINTS = 60  # of a line; more are not seen at this size
KEY = (
    '<ul class="key" aria-label="lines"><li class="vanilla">without transfer</li>'
    '<li class="best">best source</li><li class="others">other sources</li></ul>\n'
)
"""What the lines are, as HTML."""

Curve = Mapping[int, float]
"""Validation score by step, mean over runs."""


@dataclasses.dataclass(frozen=True)
class TargetCurves:
    """Holds the curves of a target: without transfer, and by source, the best source first."""

    target: str
    vanilla: Curve
    sources: Mapping[str, Curve]

    @property
    def best(self) -> str:
        """The source whose transfers scored best on validation."""
        return next(iter(self.sources))

    @property
    def words(self) -> str:
        """Where the two main curves end."""
        best = f"from {self.best} {_last(self.sources[self.best]):.1f}"
        return f"{best}, without transfer {_last(self.vanilla):.1f}"


def target_curves(study: Study) -> list[TargetCurves]:
    """Returns the curves of each target that has rows with and without transfer."""
    found = []
    for index, target in enumerate(study.transfer.targets):
        mine = [row for row in study.rows if row["target"] == target and row["curve"]]
        transfers = [row for row in mine if row["method"] == "spot"]
        # A target that is a source too was tuned for its source prompt as well, by other steps.
        steps = {row["steps"] for row in transfers}
        own = [r for r in mine if r["method"] == "prompt_tuning" and r["steps"] in steps]
        vanilla = mean_curve(dict(row["curve"]) for row in own)
        by_source = {
            source: mean_curve(dict(row["curve"]) for row in transfers if row["source"] == source)
            for source in _ranked_sources(study, index)
        }
        by_source = {source: curve for source, curve in by_source.items() if curve}
        if vanilla and by_source:
            found.append(TargetCurves(target, vanilla, by_source))
    return found


def as_table(curves: Sequence[TargetCurves]) -> Table:
    """Returns every point of every curve."""
    columns = [Column("target"), Column("source"), Column("step", True), Column("score", True)]
    return Table(
        columns,
        [
            Line([target.target, source, step, score])
            for target in curves
            for source, curve in ((None, target.vanilla), *target.sources.items())
            for step, score in curve.items()
        ],
    )


def draw(curves: Sequence[TargetCurves], stem: Path) -> None:
    """Draws all targets in one picture, and writes it as PNG and SVG."""
    columns = min(_COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    with drawing.ink():
        figure = drawing.new_figure(_SIZE[0] * columns, _SIZE[1] * rows + 0.5)
        for index, each in enumerate(curves):
            axes = figure.add_subplot(rows, columns, index + 1)
            drawing.title(axes, each.target, each.words)
            _draw(each, axes)
        handles = figure.axes[0].get_legend_handles_labels()[0]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        drawing.write(figure, stem)


def inline(curves: Sequence[TargetCurves], name: str) -> list[Panel]:
    """Returns each target's plot for a page; `name` begins its ids."""
    return [_inline(each, f"{name}-{index}") for index, each in enumerate(curves)]


def _ranked_sources(study: Study, target: int) -> Iterator[str]:
    """Yields the sources, that with the best mean validation score on the target first."""
    transfer = study.transfer
    names = np.array([candidate.source for candidate in transfer.candidates])
    of_sources = [transfer.validation[target][:, names == source] for source in transfer.sources]
    means = np.array([finite_mean(of_source, (0, 1)) for of_source in of_sources])
    for place in np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable"):
        yield transfer.sources[place]


def _inline(curves: TargetCurves, name: str) -> Panel:
    with drawing.ink():
        figure = drawing.new_figure(*_SIZE)
        _draw(curves, figure.add_subplot())
        drawn = drawing.inline(figure, name, "line plot of validation score by step")
    return Panel(curves.target, curves.words, drawn)


def _last(curve: Curve) -> float:
    return list(curve.values())[-1]


def _draw(curves: TargetCurves, axes: "Axes") -> None:
    best, *others = curves.sources
    for index, source in enumerate(others):
        label = "other sources" if index == 0 else None
        axes.plot(
            *_points(curves.sources[source]), color=drawing.INK, alpha=0.3, lw=0.7, label=label
        )
    for curve, colour, dashes, label in (
        (curves.vanilla, drawing.SECOND, "--", "without transfer"),
        (curves.sources[best], drawing.FIRST, "-", "best source"),
    ):
        axes.plot(*_points(curve), color=colour, linewidth=2, linestyle=dashes, label=label)
    axes.set_ylim(_limits(curves))
    axes.set_xlabel("step", fontsize=9)
    axes.set_ylabel("validation score", fontsize=9)
    axes.locator_params(nbins=6)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid()


def _limits(curves: TargetCurves) -> tuple[float, float]:
    """Returns the ends of the y axis: the scores after step 0, before which nothing is learnt."""
    every = [curves.vanilla, *curves.sources.values()]
    scores = [score for curve in every for step, score in curve.items() if step > 0] or [0.0]
    margin = max(0.05 * (max(scores) - min(scores)), 0.5)
    return min(scores) - margin, max(scores) + margin


def _points(curve: Curve) -> tuple[list[int], list[float]]:
    steps = list(curve)
    places = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).round().astype(int))
    shown = [steps[place] for place in places]
    return shown, [curve[step] for step in shown]
