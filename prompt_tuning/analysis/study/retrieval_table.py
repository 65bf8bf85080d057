"""Tables and a plot of retrieval: by method, by target, and by k."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prompt_tuning.analysis.figures import Curve, draw_curves
from prompt_tuning.analysis.report.published import published_retrieval
from prompt_tuning.analysis.statistics import Spread, spread
from prompt_tuning.analysis.study.correlation import SOURCES, Points, points
from prompt_tuning.analysis.study.panels import FIRST, INK, SECOND, Panel, label_axes
from prompt_tuning.analysis.study.retrieval import (
    BASELINE,
    ORACLE,
    RANDOM_K,
    TOP_K,
    comparable,
    retrievals,
    search_space_cut,
)
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, MethodScores, Study
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table
from prompt_tuning.transfer.methods import AVERAGE, MIXTURE
from prompt_tuning.transfer.similarity import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHODS: Mapping[str, str] = {
    BASELINE: "own prompt alone",
    ORACLE: "oracle, best of all",
    TOP_K: "best of top-k",
    RANDOM_K: "best of random k",
    AVERAGE: "weighted average of top-k",
    MIXTURE: "multi-task mixture of top-k",
}
"""The ways to use source prompts, with their names in tables."""

PAPER = "[T5-base]"
CHANCE = "random"

_STYLES: Sequence[Mapping[str, Any]] = (
    {"color": FIRST, "marker": "o", "linestyle": "-"},
    {"color": SECOND, "marker": "s", "linestyle": "--"},
)
_CHANCE_STYLE: Mapping[str, Any] = {"color": INK, "marker": "^", "linestyle": ":"}


@dataclasses.dataclass(frozen=True)
class RetrievalLine:
    """Scores of one way to use source prompts; spreads over seeds of the mean over targets.

    Attributes:
        method: The method, with its similarity and k.
        average: Score; None where the method lacks one.
        absolute: Change from the target's own prompt of the same seed, in points.
        measured: Score in the study's measure, in percent.
        kept: Share of the oracle's gain in points where the measure is error reduction, else of
            its relative performance. None for the own prompt, and where the oracle gains nothing.
        cut: Share of the transfers that need not be run; None for methods that train further rows.
    """

    method: MethodScores
    average: Spread | None
    absolute: Spread | None
    measured: Spread | None
    kept: float | None
    cut: float | None


def retrieval_lines(study: Study) -> list[RetrievalLine]:
    """Returns the scores of all `retrieval.retrievals`, over the `comparable` targets."""
    among = comparable(study.transfer)
    averages = {method: _averages(study, method.scores, among) for method in retrievals(study)}
    best = next(values for method, values in averages.items() if method.method == ORACLE)
    part = 1 if study.measure == ERROR_REDUCTION else 2
    lines = []
    for method, values in averages.items():
        gain, most = values[part], best[part]
        own = method.method == BASELINE
        share = None if own or not gain or not most or most.mean <= 0 else gain.mean / most.mean
        lines.append(RetrievalLine(method, *values, share, _cut(study, method)))
    return lines


def retrieval_table(study: Study) -> Table:
    """Returns the table of `retrieval_lines`, with published scores beside tuned transfers."""
    tuned = study.measure == ERROR_REDUCTION
    if tuned:
        names = ("absolute change", "relative change", "average score")
        names = [*(f"{name} {PAPER}" for name in names), "oracle's gain kept %"]
    else:
        names = ["relative performance %", "oracle's performance kept %"]
    columns = [Column("method"), Column("similarity"), Column("k", numeric=True)]
    columns += [Column(name, numeric=True) for name in (*names, "search space cut %")]
    lines = []
    for line in retrieval_lines(study):
        method = line.method
        scores = _scores(line) if tuned else [Score(line.measured)]
        percents = [_percent(line.kept), _percent(line.cut)]
        name = METHODS.get(method.method, method.method)
        lines.append(Line([name, method.similarity or "", method.k, *scores, *percents]))
    return Table(columns, lines, _title(study), _note(study))


def ranking_table(study: Study) -> Table:
    """Returns, for each target, the best source and the most similar one, with its rank by gain.

    Sources with several seeds count with their mean, and a target's own task is left out. The last
    line has the means.
    """
    columns = [Column("target"), Column("best source"), Column("gain %", numeric=True)]
    columns.append(Column("mean gain %", numeric=True))
    for name in study.similarities:
        columns += [Column(f"first by {name}"), Column("its gain %", numeric=True)]
        columns.append(Column("its place", numeric=True))
    by_similarity = [points(study, name, SOURCES) for name in study.similarities]
    lines: list[Line] = []
    for target, *all_points in zip(study.transfer.targets, *by_similarity, strict=True):
        others = [of_target.where(~of_target.same_task) for of_target in all_points]
        if others and others[0].gains.size:
            lines.append(Line([target, *_ranking(study, others)]))
    if lines:
        means = [_mean([line.cells[column] for line in lines]) for column in range(len(columns))]
        lines.append(Line(["mean", *means[1:]], strong=True))
    title = f"Ranking of sources, by {study.measure}"
    return Table(columns, lines, title, "A target's own task is left out.")


def kept_by_k(study: Study) -> dict[str, dict[int, float]]:
    """Returns the percentage of the oracle's gain that is kept, by similarity (or chance) and k."""
    kept: dict[str, dict[int, float]] = {}
    for line in retrieval_lines(study):
        method = line.method
        if method.method in (TOP_K, RANDOM_K) and method.k and line.kept is not None:
            way = display_name(method.similarity) if method.similarity else CHANCE
            kept.setdefault(way, {})[method.k] = 100.0 * line.kept
    return kept


def retrieval_panel(study: Study) -> Panel | None:
    """Returns the plot of `kept_by_k`; None with fewer than two values of k."""
    kept = kept_by_k(study)
    if len(study.ks) < 2 or not kept:
        return None
    of = "gain" if study.measure == ERROR_REDUCTION else "performance"
    return Panel(
        name=f"Share of the oracle's {of} kept, by k",
        summary="best of k retrieved prompts, or of k random ones",
        label=f"line plot of the oracle's {of} kept by k",
        draw=lambda axes: _draw(axes, kept, of),
        size=(4.0, 2.8),
    )


def _averages(
    study: Study, scores: np.ndarray, among: np.ndarray
) -> tuple[Spread | None, Spread | None, Spread | None]:
    """Returns average, absolute change and measure of scores `[T, J]` on the targets `among`."""
    if not among.any() or not np.isfinite(scores[among]).all():
        return None, None, None
    measured = study.gain(scores)[among]
    # Targets with no error to reduce, or no score of their own: the same ones on every line.
    measured = measured[np.isfinite(measured).all(axis=1)]
    change = scores[among] - study.transfer.baseline[among]
    average, absolute = (spread(x.mean(axis=0).tolist()) for x in (scores[among], change))
    return average, absolute, spread(measured.mean(axis=0).tolist()) if measured.size else None


def _cut(study: Study, method: MethodScores) -> float | None:
    if method.method == ORACLE:
        return 0.0
    if method.method not in (TOP_K, RANDOM_K) or method.k is None:
        return None
    return search_space_cut(study.transfer, method.k)


def _scores(line: RetrievalLine) -> list[Cell]:
    method = line.method
    paper = published_retrieval(method.method, method.similarity, method.k)
    changes = [None, None]
    if paper:
        changes = [paper.absolute, paper.relative]
    ours = [line.absolute, line.measured] if method.method != BASELINE else [None, None]
    return [*map(Score, ours, changes), Score(line.average, paper and paper.average)]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _title(study: Study) -> str:
    if study.measure == ERROR_REDUCTION:
        return "Retrieval, test scores (0-100), mean ± standard deviation over seeds"
    return "Retrieval, performance relative to the target's own prompt"


def _note(study: Study) -> str:
    transfer = study.transfer
    among = comparable(transfer)
    missing = [target for target, chosen in zip(transfer.targets, among, strict=True) if not chosen]
    note = (
        f"Mean over {among.sum()} targets, from {len(transfer.candidates)} source prompts without"
        " those of the target's own task. Random k is the exact mean over all draws; random 1 is"
        " the mean source."
    )
    if study.measure == ERROR_REDUCTION:
        note += (
            f" The best of several is chosen on validation. {PAPER}: Vu et al. 2022, Table 3, T5"
            " 1.1 LM-adapted base, 48 source prompts and 10 targets of GLUE, SuperGLUE and others:"
            " a different model and different tasks."
        )
    return note + (f" Left out for missing scores: {', '.join(missing)}." if missing else "")


def _ranking(study: Study, by_similarity: Sequence[Points]) -> list[Cell]:
    """Returns the cells of a target, given its points by each similarity."""
    gains, sources = by_similarity[0].gains, study.transfer.sources
    best = int(np.argmax(gains))
    cells: list[Cell] = [sources[by_similarity[0].groups[best]]]
    cells += [float(gains[best]), float(gains.mean())]
    for of_target in by_similarity:
        first = int(np.argmax(of_target.similarities))
        place = 1 + int((gains > gains[first]).sum())
        cells += [sources[of_target.groups[first]], float(gains[first]), place]
    return cells


def _mean(cells: Sequence[Cell]) -> Cell:
    numbers = [cell for cell in cells if isinstance(cell, int | float)]
    return float(np.mean(numbers)) if numbers else ""


def _draw(axes: "Axes", kept: Mapping[str, Mapping[int, float]], of: str) -> None:
    chosen = [way for way in kept if way != CHANCE]
    styles = {way: _STYLES[index % len(_STYLES)] for index, way in enumerate(chosen)}
    line: Mapping[str, Any] = {"linewidth": 1.8, "markersize": 5}
    draw_curves(
        axes,
        [
            Curve(means=shares, style={**line, **styles.get(way, _CHANCE_STYLE)}, label=way)
            for way, shares in kept.items()
        ],
    )
    axes.axhline(100, color=INK, linewidth=0.8)
    axes.set_xticks(sorted({k for shares in kept.values() for k in shares}))
    label_axes(axes, "k", f"of the oracle's {of} (%)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
