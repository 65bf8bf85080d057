"""Figures: set-up, mean lines with bands or error bars, and PNG files."""

import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which color-blind readers can tell apart.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = "osD^vPX"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """A line of means, with a band or error bars.

    Attributes:
        means: Values by position on the x axis.
        style: Matplotlib's properties of the line, with a `color`.
        label: Label in the legend; None for no entry.
        band: Lowest and highest value at each position; empty for no band.
        bars: Standard deviation at each position; empty for no error bars.
    """

    means: Mapping[int, float] | Mapping[float, float]
    style: Mapping[str, Any]
    label: str | None = None
    band: Sequence[tuple[float, float]] = ()
    bars: Sequence[float] = ()


def seed_curve(
    by_seed: Sequence[Mapping[int, float]], *, label: str, style: Mapping[str, Any]
) -> Curve:
    """Returns the mean over seeds at each step, with their range as its band.

    Args:
        by_seed: Score by step for each seed; a step averages the seeds that reached it.
        label: Label of the curve.
        style: Properties of its line.
    """
    steps = sorted({step for scores in by_seed for step in scores})
    points = [[scores[step] for scores in by_seed if step in scores] for step in steps]
    means = {step: float(np.mean(scores)) for step, scores in zip(steps, points, strict=True)}
    band = [(min(scores), max(scores)) for scores in points]
    return Curve(means=means, style=style, label=label, band=band)


def draw_curves(axes: "Axes", curves: Sequence[Curve]) -> None:
    """Draws each curve's line, with its band or error bars."""
    for curve in curves:
        x, y = list(curve.means), list(curve.means.values())
        if curve.band:
            low, high = zip(*curve.band, strict=True)
            color = curve.style["color"]
            axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)
        if curve.bars:
            axes.errorbar(x, y, yerr=curve.bars, capsize=3, label=curve.label, **curve.style)
        else:
            axes.plot(x, y, label=curve.label, **curve.style)


def numbered_style(index: int) -> dict[str, Any]:
    """Returns color and marker of the index-th line; the marker changes when colors repeat."""
    marker = MARKERS[index // len(PALETTE) % len(MARKERS)]
    return {"color": PALETTE[index % len(PALETTE)], "marker": marker}


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty figure; sizes are in inches, of 100 pixels."""
    # Matplotlib takes most of a second to import, which would delay the start of a run.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def thin_frame(axes: "Axes") -> None:
    """Hides the top and right edges, and adds a light horizontal grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)


def label_axes(axes: "Axes", *, title: str, x: str, y: str) -> None:
    """Sets the title of the axes and their labels."""
    axes.set_title(title, fontsize=12, fontweight="bold")
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)


def label_learning_curves(axes: "Axes", title: str) -> None:
    """Sets the title and the axis labels of learning curves from `seed_curve`."""
    label_axes(
        axes,
        title=title,
        x="training steps (lines: mean over seeds, bands: range)",
        y="validation score (0-100)",
    )


def save_png(figure: "Figure", path: Path) -> None:
    """Writes the figure as PNG; equal figures give equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    write_bytes(path, content.getvalue())


@dataclasses.dataclass(frozen=True)
class Series:
    """Scores by the varied value; published series are dashed, with open markers."""

    label: str
    scores: Mapping[str, Spread]
    published: bool = False


def line_chart(
    series: Sequence[Series], values: Sequence[str], path: Path, *, title: str, axis: str
) -> None:
    """Draws each series' mean, with its standard deviation as bars, and writes a PNG.

    Args:
        series: The series; ours and published ones of the same label share a color.
        values: Values along the x axis, in order; to scale if all of them are numbers.
        path: The PNG file.
        title: Title of the chart.
        axis: Label of the x axis.
    """
    figure = new_figure(9, 6)
    axes = figure.add_subplot()
    places, logarithmic = positions(values)
    labels = list(dict.fromkeys(line.label for line in series))
    draw_curves(axes, [_series_curve(line, labels.index(line.label), places) for line in series])
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(list(places.values()), list(places))
    axes.set_xticks([], minor=True)
    label_axes(axes, title=title, x=axis, y="score (0-100)")
    thin_frame(axes)
    if any(labels):
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    save_png(figure, path)


def positions(values: Sequence[str]) -> tuple[dict[str, float], bool]:
    """Returns the position of each value on the x axis, and whether the axis is logarithmic.

    Numbers are drawn to scale, on a logarithmic axis if they span a factor of ten; other values
    are evenly spaced.
    """
    numbers = as_numbers(values)
    if numbers is None or len(set(numbers)) < len(numbers):
        return {value: float(index) for index, value in enumerate(values)}, False
    logarithmic = min(numbers) > 0 and max(numbers) / min(numbers) >= 10
    return dict(zip(values, numbers, strict=True)), logarithmic


def as_numbers(values: Sequence[str]) -> list[float] | None:
    """Returns the values as numbers; None if one of them is not a number."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def _series_curve(series: Series, index: int, places: Mapping[str, float]) -> Curve:
    scores = {place: series.scores[x] for x, place in places.items() if x in series.scores}
    return Curve(
        means={place: score.mean for place, score in scores.items()},
        style={
            **numbered_style(index),
            "markerfacecolor": "white" if series.published else None,
            "linestyle": "--" if series.published else "-",
            "linewidth": 1.8,
        },
        label=f"{series.label} (published)" if series.published else series.label,
        bars=[score.std or 0.0 for score in scores.values()],
    )
