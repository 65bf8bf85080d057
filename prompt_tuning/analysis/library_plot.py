"""Learning curves of a task from each start: retrieved prompts, and those without transfer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from prompt_tuning.analysis.chart import COLOURS
from prompt_tuning.analysis.library_table import Comparison, StartRows

_MARKERS = "osD^vPX"


def curves_plot(found: Comparison, path: Path, *, title: str) -> None:
    """Draws validation score against step for each start, and writes a PNG 1200 pixels wide.

    A line is the mean over seeds, its band the range over seeds; lines of starts without transfer
    are dashed, that of the start that is kept is thick.
    """
    # Matplotlib takes most of a second to import, which a run should not wait for at its start.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for index, start in enumerate(found.starts):
        colour = COLOURS[index % len(COLOURS)]
        steps, low, high = _range(start)
        axes.fill_between(steps, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(
            steps,
            list(start.curve.values()),
            color=colour,
            marker=_MARKERS[index // len(COLOURS) % len(_MARKERS)],
            markersize=4,
            linestyle="--" if start.similarity is None else "-",
            linewidth=3 if start is found.best else 1.6,
            label=_label(start, kept=start is found.best),
        )
    axes.set_title(title, fontsize=12, fontweight="bold")
    axes.set_xlabel("training steps (lines: mean over seeds, bands: range)", fontsize=11)
    axes.set_ylabel("validation score (0-100)", fontsize=11)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    figure.legend(loc="outside right upper", frameon=False, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})


def _range(start: StartRows) -> tuple[list[int], Sequence[float], Sequence[float]]:
    """Returns the steps of the mean curve, and the lowest and highest score of a seed at each."""
    steps = list(start.curve)
    values = np.array([[dict(row["curve"])[step] for step in steps] for row in start.rows])
    return steps, values.min(axis=0).tolist(), values.max(axis=0).tolist()


def _label(start: StartRows, *, kept: bool) -> str:
    similarity = "" if start.similarity is None else f" ({start.similarity:.2f})"
    return f"{start.name}{similarity}{' - kept' if kept else ''}"
