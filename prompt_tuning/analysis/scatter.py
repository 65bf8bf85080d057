"""Scatter plots of similarity against what a transfer gave, one for each target."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_tuning.analysis import drawing
from prompt_tuning.analysis.correlation import (
    CANDIDATES,
    PEARSON,
    Correlation,
    Points,
    correlation,
    points,
)
from prompt_tuning.analysis.page import Panel
from prompt_tuning.analysis.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4
_SIZE = (3.4, 2.6)  # inches
_NAMES = {
    "mean_token": "cosine of mean tokens",
    "per_token": "per-token average cosine",
}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Scatter:
    """Holds what the plot of a target shows.

    Attributes:
        target: The target task.
        points: A point for each source prompt; those of the target itself are drawn as squares.
        words: How similarity and gain correlate without those.
        axes: Names of the axes, x and y.
    """

    target: str
    points: Points
    words: str
    axes: tuple[str, str]


def similarity_name(similarity: str) -> str:
    """Returns what a similarity is called in words and figures."""
    return _NAMES.get(similarity, similarity)


def scatters(study: Study, similarity: str) -> list[Scatter]:
    """Returns the plot of each target that has points, with Pearson's r, p and n."""
    found = []
    for target, mine in zip(
        study.transfer.targets, points(study, similarity, CANDIDATES), strict=True
    ):
        if mine.gains.size:
            of_others = correlation(mine.where(~mine.same_task), PEARSON)
            axes = (similarity_name(similarity), f"{study.measure} (%)")
            found.append(Scatter(target=target, points=mine, words=_words(of_others), axes=axes))
    return found


def draw(scatters: Sequence[Scatter], stem: Path) -> None:
    """Draws all targets in one picture, and writes it as PNG and SVG."""
    columns = min(_COLUMNS, len(scatters))
    rows = -(-len(scatters) // columns)
    with drawing.ink():
        figure = drawing.new_figure(_SIZE[0] * columns, _SIZE[1] * rows)
        for index, scatter in enumerate(scatters):
            axes = figure.add_subplot(rows, columns, index + 1)
            drawing.title(axes, scatter.target, scatter.words)
            _draw(scatter, axes)
        drawing.write(figure, stem)


def inline(scatters: Sequence[Scatter], name: str) -> list[Panel]:
    """Returns each target's plot for a page; `name` begins its ids."""
    return [_inline(scatter, f"{name}-{index}") for index, scatter in enumerate(scatters)]


def _inline(scatter: Scatter, name: str) -> Panel:
    x, y = scatter.axes
    with drawing.ink():
        figure = drawing.new_figure(*_SIZE)
        _draw(scatter, figure.add_subplot())
        drawn = drawing.inline(figure, name, f"scatter plot of {y} against {x}")
    return Panel(scatter.target, scatter.words, drawn)


def _words(found: Correlation | None) -> str:
    if found is None:
        return "no correlation: constant"
    p = f"p = {found.p:.3f}" if found.p >= 0.001 else "p < 0.001"
    return f"r = {found.value:z.2f}, {p}, n = {found.n}"


def _draw(scatter: Scatter, axes: "Axes") -> None:
    same = scatter.points.same_task
    for mask, colour, marker in ((~same, drawing.FIRST, "o"), (same, drawing.SECOND, "s")):
        axes.plot(
            scatter.points.similarities[mask],
            scatter.points.gains[mask],
            color=colour,
            marker=marker,
            markersize=4,
            linestyle="none",
            alpha=0.75,
            markeredgewidth=0,
        )
    axes.set_xlabel(scatter.axes[0], fontsize=9)
    axes.set_ylabel(scatter.axes[1], fontsize=9)
    axes.locator_params(nbins=6)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid()
