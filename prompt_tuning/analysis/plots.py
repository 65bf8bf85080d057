"""Learning curves of the targets from each start."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prompt_tuning.analysis.spot_table import STARTS
from prompt_tuning.analysis.statistics import (
    CLASS_LABELS,
    SAMPLED_VOCABULARY,
    SPOT,
    Condition,
    Row,
    mean_curve,
    target_rows,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, told apart by colour-blind readers; dashes tell them apart in grey.
STYLES = {
    SPOT: ("#0072B2", "-"),
    CLASS_LABELS: ("#D55E00", "--"),
    SAMPLED_VOCABULARY: ("#009E73", ":"),
}
COLUMNS = 4
_ROUND = [1, 2, 5, 10]
Curves = Mapping[int, Mapping[int, float]]
"""Score by step, by seed."""


def curves_plot(rows: Sequence[Row], path: Path) -> None:
    """Draws validation score against step: the mean over targets, and a panel for each target.

    A line is the mean over seeds, its band the range over seeds. The picture is 1200 pixels wide.
    """
    # Matplotlib takes most of a second to import, which a run should not wait for at its start.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = target_rows(rows)
    targets = list(dict.fromkeys(row["target"] for row in rows))
    heights = -(-(len(targets) + 4) // COLUMNS)
    figure = Figure(figsize=(12, 0.7 + 2.1 * heights), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(heights, COLUMNS)
    overall = figure.add_subplot(grid[0:2, 0:2])
    _draw(overall, {start: _mean_over_targets(rows, start, targets) for start in STYLES})
    _decorate(overall, f"mean over {len(targets)} targets", rows, large=True)
    cells = [(r, c) for r in range(heights) for c in range(COLUMNS) if r > 1 or c > 1]
    for target, cell in zip(targets, cells, strict=False):
        axes = figure.add_subplot(grid[cell])
        mine = [row for row in rows if row["target"] == target]
        _draw(axes, {start: _curves(mine, start) for start in STYLES})
        _decorate(axes, target, mine, large=False)
    handles, _ = overall.get_legend_handles_labels()
    figure.legend(
        handles=handles, loc="outside upper center", ncols=len(STYLES), frameon=False, fontsize=12
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _curves(rows: Sequence[Row], start: Condition) -> Curves:
    return {row["seed"]: dict(row["curve"] or []) for row in filter(start.matches, rows)}


def _mean_over_targets(rows: Sequence[Row], start: Condition, targets: Sequence[str]) -> Curves:
    """Returns, for each seed, the mean over targets at the steps that all of them have."""
    by_seed: dict[int, list[Mapping[int, float]]] = {}
    for target in targets:
        mine = [row for row in rows if row["target"] == target]
        for seed, curve in _curves(mine, start).items():
            by_seed.setdefault(seed, []).append(curve)
    return {seed: mean_curve(curves) for seed, curves in by_seed.items()}


def _draw(axes: "Axes", curves: Mapping[Condition, Curves]) -> None:
    for start, by_seed in curves.items():
        colour, dashes = STYLES[start]
        steps = sorted({step for curve in by_seed.values() for step in curve})
        points = [[curve[s] for curve in by_seed.values() if s in curve] for s in steps]
        means = [float(np.mean(values)) for values in points]
        low, high = [min(values) for values in points], [max(values) for values in points]
        axes.plot(steps, means, color=colour, linestyle=dashes, linewidth=1.8, label=STARTS[start])
        axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)


def _decorate(axes: "Axes", title: str, rows: Sequence[Row], *, large: bool) -> None:
    axes.set_title(title, fontsize=12 if large else 10, fontweight="bold" if large else "normal")
    axes.locator_params(axis="x", nbins=6 if large else 4, integer=True, steps=_ROUND)
    axes.locator_params(axis="y", nbins=6 if large else 4, steps=_ROUND)
    axes.tick_params(labelsize=10 if large else 9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_xlim(left=0)
    if large:
        axes.set_xlabel("training steps (lines: mean over seeds, bands: range)", fontsize=11)
        axes.set_ylabel("validation score (0-100)", fontsize=11)
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
