"""What retrieval keeps of the oracle's gain, by how many source prompts are tried."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prompt_tuning.analysis import drawing
from prompt_tuning.analysis.page import Panel
from prompt_tuning.analysis.retrieval import RANDOM_K, TOP_K
from prompt_tuning.analysis.retrieval_table import retrieval_lines
from prompt_tuning.analysis.scatter import similarity_name
from prompt_tuning.analysis.study import ERROR_REDUCTION, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHANCE = "random"
_SIZE = (4.0, 2.8)  # inches
_STYLES: Sequence[Mapping[str, Any]] = (
    {"color": drawing.FIRST, "marker": "o", "linestyle": "-"},
    {"color": drawing.SECOND, "marker": "s", "linestyle": "--"},
)
_CHANCE_STYLE: Mapping[str, Any] = {"color": drawing.INK, "marker": "^", "linestyle": ":"}


@dataclasses.dataclass(frozen=True)
class RetrievalCurve:
    """Holds the share that is kept, in percent, by k and by way to choose; what the share is of."""

    kept: Mapping[str, Mapping[int, float]]
    of: str


def retrieval_curve(study: Study) -> RetrievalCurve | None:
    """Returns what each similarity and chance keep, None where there are not two values of k."""
    kept: dict[str, dict[int, float]] = {}
    for line in retrieval_lines(study):
        method = line.method
        if method.method in (TOP_K, RANDOM_K) and method.k and line.kept is not None:
            way = similarity_name(method.similarity) if method.similarity else CHANCE
            kept.setdefault(way, {})[method.k] = 100.0 * line.kept
    if len(study.ks) < 2 or not kept:
        return None
    tuned = study.measure == ERROR_REDUCTION
    return RetrievalCurve(kept, "gain" if tuned else "performance")


def draw(curve: RetrievalCurve, stem: Path) -> None:
    """Draws the curve, and writes it as PNG and SVG."""
    with drawing.ink():
        figure = drawing.new_figure(*_SIZE)
        _draw(curve, figure.add_subplot())
        drawing.write(figure, stem)


def inline(curve: RetrievalCurve, name: str) -> Panel:
    """Returns the curve for a page; `name` begins its ids."""
    with drawing.ink():
        figure = drawing.new_figure(*_SIZE)
        _draw(curve, figure.add_subplot())
        drawn = drawing.inline(figure, name, f"line plot of the oracle's {curve.of} kept by k")
    words = "best of the k that are retrieved, or of k at random"
    return Panel(f"Share of the oracle's {curve.of} that is kept, by k", words, drawn)


def _draw(curve: RetrievalCurve, axes: "Axes") -> None:
    chosen = [way for way in curve.kept if way != CHANCE]
    styles = {way: _STYLES[index % len(_STYLES)] for index, way in enumerate(chosen)}
    for way, kept in curve.kept.items():
        style = styles.get(way, _CHANCE_STYLE)
        axes.plot(list(kept), list(kept.values()), label=way, linewidth=1.8, markersize=5, **style)
    axes.axhline(100, color=drawing.INK, linewidth=0.8)
    axes.set_xticks(_ticks(curve))
    axes.set_xlabel("k", fontsize=9)
    axes.set_ylabel(f"of the oracle's {curve.of} (%)", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid()
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _ticks(curve: RetrievalCurve) -> Sequence[int]:
    return sorted({k for kept in curve.kept.values() for k in kept})
