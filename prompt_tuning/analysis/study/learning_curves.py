"""Learning curves of a study's targets: without transfer, and from each source."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from prompt_tuning.analysis.figures import Curve, draw_curves
from prompt_tuning.analysis.statistics import mean_curve
from prompt_tuning.analysis.study.panels import FIRST, INK, SECOND, Panel, label_axes
from prompt_tuning.analysis.study.scores import Study
from prompt_tuning.analysis.table import Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEY = (
    '<ul class="key" aria-label="lines"><li class="vanilla">without transfer</li>'
    '<li class="best">best source</li><li class="others">other sources</li></ul>\n'
)
"""The legend of the plots, as HTML."""

_MOST_POINTS = 60  # of a line; more cannot be seen at this size
_OTHERS = {"color": INK, "alpha": 0.3, "linewidth": 0.7}
_VANILLA = {"color": SECOND, "linewidth": 2, "linestyle": "--"}
_BEST = {"color": FIRST, "linewidth": 2, "linestyle": "-"}

Scores = Mapping[int, float]
"""Validation score by step, mean over runs."""


@dataclasses.dataclass(frozen=True)
class TargetCurves:
    """The curves of a target: without transfer, and by source, the best on validation first."""

    target: str
    vanilla: Scores
    sources: Mapping[str, Scores]

    @property
    def panel(self) -> Panel:
        """The plot of the curves, with the last scores of the two main ones."""
        best, scores = next(iter(self.sources.items()))
        return Panel(
            name=self.target,
            summary=f"from {best} {_last(scores):.1f}, without transfer {_last(self.vanilla):.1f}",
            label="line plot of validation score by step",
            draw=self._draw,
        )

    def _draw(self, axes: "Axes") -> None:
        best, *others = self.sources.values()
        curves = [
            Curve(means=_thinned(scores), style=_OTHERS, label=None if index else "other sources")
            for index, scores in enumerate(others)
        ]
        curves.append(Curve(means=_thinned(self.vanilla), style=_VANILLA, label="without transfer"))
        curves.append(Curve(means=_thinned(best), style=_BEST, label="best source"))
        draw_curves(axes, curves)
        axes.set_ylim(self._limits())
        label_axes(axes, "step", "validation score")
        axes.locator_params(nbins=6)

    def _limits(self) -> tuple[float, float]:
        """Returns the ends of the y axis: the range of the scores after step 0, with a margin."""
        curves = [self.vanilla, *self.sources.values()]
        scores = [score for curve in curves for step, score in curve.items() if step > 0] or [0.0]
        margin = max(0.05 * (max(scores) - min(scores)), 0.5)
        return min(scores) - margin, max(scores) + margin


def target_curves(study: Study) -> list[TargetCurves]:
    """Returns the curves of each target that has records both with and without transfer."""
    curves = []
    transfer = study.transfer
    for target, validation in zip(
        transfer.targets, transfer.source_means(transfer.validation), strict=True
    ):
        records = [r for r in study.records if r["target"] == target and r["curve"]]
        transfers = [r for r in records if r["method"] == "spot"]
        # Where a target is also a source, its source prompt was tuned for other numbers of steps.
        steps = {r["steps"] for r in transfers}
        own = [r for r in records if r["method"] == "prompt_tuning" and r["steps"] in steps]
        vanilla = mean_curve(dict(r["curve"]) for r in own)
        by_source = {}
        for place in np.argsort(-np.nan_to_num(validation, nan=-np.inf), kind="stable"):
            source = transfer.sources[place]
            curve = mean_curve(dict(r["curve"]) for r in transfers if r["source"] == source)
            if curve:
                by_source[source] = curve
        if vanilla and by_source:
            curves.append(TargetCurves(target, vanilla, by_source))
    return curves


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


def _last(curve: Scores) -> float:
    return list(curve.values())[-1]


def _thinned(curve: Scores) -> dict[int, float]:
    steps = list(curve)
    places = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).round().astype(int))
    return {steps[place]: curve[steps[place]] for place in places}
