"""A chart of scores against what was varied: a line for each series."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from prompt_tuning.analysis.statistics import Spread

# Okabe and Ito's palette, told apart by colour-blind readers; dashes tell them apart in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"


@dataclasses.dataclass(frozen=True)
class Series:
    """Scores by the value that was varied; a published one is drawn dashed, with open marks."""

    label: str
    scores: Mapping[str, Spread]
    published: bool = False


def line_chart(
    series: Sequence[Series], values: Sequence[str], path: Path, *, title: str, axis: str
) -> None:
    """Draws each series' mean, with its standard deviation as bars, and writes a PNG.

    Args:
        series: What to draw. Published ones share the colour of ours of the same label.
        values: Values along the axis, in order; to scale where all of them are numbers.
        path: The file.
        title: What the scores are of.
        axis: What was varied.
    """
    # Matplotlib takes most of a second to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places, logarithmic = positions(values)
    labels = list(dict.fromkeys(each.label for each in series))
    for each in series:
        index = labels.index(each.label)
        shown = [value for value in values if value in each.scores]
        found = [each.scores[value] for value in shown]
        axes.errorbar(
            [places[value] for value in shown],
            [score.mean for score in found],
            yerr=[score.std or 0.0 for score in found],
            label=f"{each.label} (published)" if each.published else each.label,
            color=COLOURS[index % len(COLOURS)],
            marker=_MARKERS[index // len(COLOURS) % len(_MARKERS)],
            markerfacecolor="white" if each.published else None,
            linestyle="--" if each.published else "-",
            linewidth=1.8,
            capsize=3,
        )
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(list(places.values()), list(places))
    axes.set_xticks([], minor=True)
    axes.set_xlabel(axis, fontsize=11)
    axes.set_ylabel("score (0-100)", fontsize=11)
    axes.set_title(title, fontsize=12, fontweight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    if any(labels):
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def as_numbers(values: Sequence[str]) -> list[float] | None:
    """Returns the values as numbers, None where one of them is none."""
    try:
        return [float(value) for value in values]
    except ValueError:
        return None


def positions(values: Sequence[str]) -> tuple[dict[str, float], bool]:
    """Returns where each value stands along the axis, and whether that is logarithmic.

    Numbers stand where they are, on a logarithmic axis where they span a factor of ten; other
    values stand side by side.
    """
    numbers = as_numbers(values)
    if numbers is None or len(set(numbers)) < len(numbers):
        return {value: float(index) for index, value in enumerate(values)}, False
    logarithmic = min(numbers) > 0 and max(numbers) / min(numbers) >= 10
    return dict(zip(values, numbers, strict=True)), logarithmic
