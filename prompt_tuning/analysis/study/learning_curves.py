"""Learning curves of a study's targets: without transfer, from the best source, and from others."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from prompt_tuning.analysis.figures import Curve, draw_curves
from prompt_tuning.analysis.statistics import finite_mean, mean_curve
from prompt_tuning.analysis.study.panels import FIRST, INK, SECOND, Panel, label_axes
from prompt_tuning.analysis.study.scores import Study
from prompt_tuning.analysis.table import Column, Line, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KEY = (
    '<ul class="key" aria-label="lines"><li class="vanilla">without transfer</li>'
    '<li class="best">best source</li><li class="others">other sources</li></ul>\n'
)
"""What the lines are, as HTML."""

_MOST_POINTS = 60  # of a line; more are not seen at this size
_OTHERS = {"color": INK, "alpha": 0.3, "linewidth": 0.7}
_VANILLA = {"color": SECOND, "linewidth": 2, "linestyle": "--"}
_BEST = {"color": FIRST, "linewidth": 2, "linestyle": "-"}

Scores = Mapping[int, float]
"""Validation score by step, mean over runs."""


@dataclasses.dataclass(frozen=True)
class TargetCurves:
    """Holds the curves of a target: without transfer, and by source, the best source first."""

    target: str
    vanilla: Scores
    sources: Mapping[str, Scores]

    @property
    def panel(self) -> Panel:
        """Its plot, with where the two main curves end."""
        best, scores = next(iter(self.sources.items()))
        return Panel(
            name=self.target,
            words=f"from {best} {_last(scores):.1f}, without transfer {_last(self.vanilla):.1f}",
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
        """Returns the ends of the y axis: the scores after step 0, before which nothing is learned.

        A margin is left on both sides.
        """
        curves = [self.vanilla, *self.sources.values()]
        scores = [score for curve in curves for step, score in curve.items() if step > 0] or [0.0]
        margin = max(0.05 * (max(scores) - min(scores)), 0.5)
        return min(scores) - margin, max(scores) + margin


def target_curves(study: Study) -> list[TargetCurves]:
    """Returns the curves of each target that has records with and without transfer."""
    curves = []
    for index, target in enumerate(study.transfer.targets):
        records = [
            record for record in study.records if record["target"] == target and record["curve"]
        ]
        transfers = [record for record in records if record["method"] == "spot"]
        # A target that is a source too was tuned for its source prompt as well, by other steps.
        steps = {record["steps"] for record in transfers}
        own = [r for r in records if r["method"] == "prompt_tuning" and r["steps"] in steps]
        vanilla = mean_curve(dict(record["curve"]) for record in own)
        by_source = {
            source: mean_curve(
                dict(record["curve"]) for record in transfers if record["source"] == source
            )
            for source in _ranked_sources(study, index)
        }
        by_source = {source: curve for source, curve in by_source.items() if curve}
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


def _ranked_sources(study: Study, target: int) -> Iterator[str]:
    """Yields the sources, that with the best mean validation score on the target first."""
    transfer = study.transfer
    names = np.array([candidate.source for candidate in transfer.candidates])
    of_sources = [transfer.validation[target][:, names == source] for source in transfer.sources]
    means = np.array([finite_mean(of_source, (0, 1)) for of_source in of_sources])
    for place in np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable"):
        yield transfer.sources[place]


def _last(curve: Scores) -> float:
    return list(curve.values())[-1]


def _thinned(curve: Scores) -> dict[int, float]:
    steps = list(curve)
    places = np.unique(np.linspace(0, len(steps) - 1, _MOST_POINTS).round().astype(int))
    return {steps[place]: curve[steps[place]] for place in places}
