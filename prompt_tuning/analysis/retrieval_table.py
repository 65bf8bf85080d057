"""Tables of retrieval: what each way to use source prompts gives, and what similarity adds."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from prompt_tuning.analysis.interval import CONFIDENCE
from prompt_tuning.analysis.papers import published_retrieval
from prompt_tuning.analysis.retrieval import (
    BASELINE,
    ORACLE,
    RANDOM_K,
    TOP_K,
    Difference,
    comparable,
    retrievals,
    search_space_cut,
    top_minus_exchanged,
    top_minus_random,
)
from prompt_tuning.analysis.statistics import Spread, spread
from prompt_tuning.analysis.study import ERROR_REDUCTION, MethodScores, Study
from prompt_tuning.analysis.table import Cell, Column, Line, Probability, Score, Table

METHODS: Mapping[str, str] = {
    BASELINE: "own prompt alone",
    ORACLE: "oracle, best of all",
    TOP_K: "best of top-k",
    RANDOM_K: "best of random k",
    "top_k_weighted_average": "weighted average of top-k",
    "top_k_multitask_mixture": "multi-task mixture of top-k",
}
"""The ways to use source prompts, with their names in tables and figures."""

PAPER = "[T5-base]"


@dataclasses.dataclass(frozen=True)
class RetrievalLine:
    """What one way to use source prompts gives, averaged over targets.

    Spreads are over seeds, of the mean over targets.

    Attributes:
        method: Which one, with its similarity and k.
        average: The score; None where the method lacks one.
        absolute: Its change from the same seed's own prompt, in points.
        measured: In the study's measure, in percent.
        kept: The share of the oracle's gain: of its change in points where the measure is error
            reduction, of its relative performance otherwise. None for the own prompt, and where
            the oracle gains nothing.
        cut: The share of the transfers that need not be run; None for methods that run others.
    """

    method: MethodScores
    average: Spread | None
    absolute: Spread | None
    measured: Spread | None
    kept: float | None
    cut: float | None


def retrieval_lines(study: Study) -> list[RetrievalLine]:
    """Returns what each of `retrieval.retrievals` gives on the targets that all of them have."""
    kept = comparable(study.transfer)
    found = {method: _averages(study, method.scores, kept) for method in retrievals(study)}
    best = next(values for method, values in found.items() if method.method == ORACLE)
    part = 1 if study.measure == ERROR_REDUCTION else 2
    lines = []
    for method, values in found.items():
        gain, most = values[part], best[part]
        own = method.method == BASELINE
        share = None if own or not gain or not most or most.mean <= 0 else gain.mean / most.mean
        lines.append(RetrievalLine(method, *values, share, _cut(study, method)))
    return lines


def retrieval_table(study: Study) -> Table:
    """Returns the table of `retrieval_lines`; published figures stand beside tuned transfers."""
    tuned = study.measure == ERROR_REDUCTION
    names = [f"{name} {PAPER}" for name in ("absolute change", "relative change", "average score")]
    shares = ["oracle's gain kept %", "search space cut %"]
    if not tuned:
        names, shares = ["relative performance %"], ["oracle's performance kept %", shares[1]]
    columns = [Column("method"), Column("similarity"), Column("k", numeric=True)]
    columns += [Column(name, numeric=True) for name in (*names, *shares)]
    lines = []
    for line in retrieval_lines(study):
        method = line.method
        cells = _scores(line) if tuned else [Score(line.measured)]
        shown = [_percent(line.kept), _percent(line.cut)]
        name = METHODS.get(method.method, method.method)
        lines.append(Line([name, method.similarity or "", method.k, *cells, *shown]))
    return Table(columns, lines, _title(study), _note(study))


def top_minus_random_table(study: Study) -> Table:
    """Returns what similarity adds: best of top-k less what chance gives, with intervals.

    Chance is random k and, where sources have several prompts, also sources that exchange their
    similarities; see `retrieval.best_of_exchanged_k`.
    """
    tuned = study.measure == ERROR_REDUCTION
    several = len(study.transfer.candidates) > len(study.transfer.sources)
    units = ["less random k, points", "less random k, % of error"]
    if not tuned:
        units = ["less random k, % of own score"]
    units += ["less exchanged, points"] if several else []
    columns = [Column("similarity"), Column("k", numeric=True)]
    for unit in units:
        columns += [Column(name, numeric=True) for name in (unit, "from", "to")]
    columns += [Column("p", numeric=True)] if several else []
    lines = []
    for name in study.similarities:
        for k in study.ks:
            found = top_minus_random(study, name, k)
            cells = [cell for each in (found if tuned else found[1:]) for cell in _ends(each)]
            if several:
                exchanged, p = top_minus_exchanged(study, name, k)
                cells += [*_ends(exchanged), None if p is None else Probability(p)]
            lines.append(Line([name, k, *cells]))
    note = (
        f"From and to are the ends of a {CONFIDENCE:.0%} bootstrap interval, which resamples"
        " targets, and seeds within them."
    )
    if several:
        note += (
            " Exchanged: where source tasks exchange their similarities, so that the k are of as"
            " few tasks as the most similar ones are; p is the share of exchanges that do as well."
        )
    return Table(columns, lines, "Best of top-k beside chance, mean over targets", note)


def _averages(
    study: Study, scores: np.ndarray, kept: np.ndarray
) -> tuple[Spread | None, Spread | None, Spread | None]:
    """Returns average, absolute change and measure of scores `[T, J]` on the targets `kept`."""
    if not kept.any() or not np.isfinite(scores[kept]).all():
        return None, None, None
    measured = study.gain(scores)[kept]
    # Some targets have no error to reduce, or no own score: the same ones on every line.
    measured = measured[np.isfinite(measured).all(axis=1)]
    change = scores[kept] - study.transfer.baseline[kept]
    average, absolute = (spread(each.mean(axis=0).tolist()) for each in (scores[kept], change))
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
        changes = [each and each.mean for each in (paper.absolute, paper.relative)]
    cells: list[Cell] = [Score(line.average, paper and paper.average.mean)]
    ours = [line.absolute, line.measured] if method.method != BASELINE else [None, None]
    return [*map(Score, ours, changes), *cells]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


def _ends(found: Difference | None) -> list[Cell]:
    if found is None:
        return [None, None, None]
    ends = found.interval
    return [found.mean, ends and ends.low, ends and ends.high]


def _title(study: Study) -> str:
    if study.measure == ERROR_REDUCTION:
        return "Retrieval, test scores (0-100), mean ± standard deviation over seeds"
    return "Retrieval, performance relative to the target's own prompt"


def _note(study: Study) -> str:
    transfer = study.transfer
    kept = comparable(transfer)
    left = [target for target, there in zip(transfer.targets, kept, strict=True) if not there]
    note = (
        f"Mean over {kept.sum()} targets, from {len(transfer.candidates)} source prompts, those of"
        " the target's own task left out. Random k is the exact mean over all draws; random 1 is"
        " the mean source."
    )
    if study.measure == ERROR_REDUCTION:
        note += (
            f" The best of several is chosen on validation. {PAPER}: Vu et al. 2022, Table 3, T5"
            " 1.1 LM-adapted base, 48 source prompts and 10 targets of GLUE, SuperGLUE and others:"
            " another model and other tasks than ours."
        )
    return note + (f" Left out for want of scores: {', '.join(left)}." if left else "")
