"""What a transfer study found, in a few sentences."""

from collections.abc import Callable, Sequence

import numpy as np

from prompt_tuning.analysis.retrieval import (
    BASELINE,
    ORACLE,
    RANDOM_K,
    TOP_K,
    search_space_cut,
    top_minus_random,
)
from prompt_tuning.analysis.retrieval_table import RetrievalLine, retrieval_lines
from prompt_tuning.analysis.scatter import similarity_name
from prompt_tuning.analysis.study import ERROR_REDUCTION, Study

Show = Callable[[RetrievalLine], str | None]


def headline(study: Study) -> list[str]:
    """Returns what was studied, and how much of what the best source gives retrieval keeps.

    Each point stands for itself.
    """
    transfer = study.transfer
    tried = int(np.isfinite(transfer.scores).sum())
    studied = (
        f"{_count(len(transfer.sources), 'source task')} with "
        f"{_count(len(transfer.candidates), 'source prompt')}, "
        f"{_count(len(transfer.targets), 'target')} with "
        f"{_count(len(transfer.seeds), 'seed')}: {_count(tried, 'transfer')}."
    )
    lines = retrieval_lines(study)
    found = _shares if study.measure == ERROR_REDUCTION else _performances
    differences = [_difference(study, name) for name in study.similarities]
    return list(filter(None, [studied, *found(study, lines), *differences]))


def _shares(study: Study, lines: Sequence[RetrievalLine]) -> list[str]:
    """Returns average scores, and the share of the oracle's gain that each k keeps."""
    alone, best = (_of(lines, method)[0].average for method in (BASELINE, ORACLE))
    if alone is None or best is None:
        return []
    said = (
        f"Without transfer the targets score {alone.mean:.1f} on average; from the best of all "
        f"source prompts (the oracle) {best.mean:.1f}."
    )
    kept = _by_k(study, lines, _kept)
    return [said, f"Share of that gain kept{kept}"] if kept else [said]


def _performances(study: Study, lines: Sequence[RetrievalLine]) -> list[str]:
    best = _of(lines, ORACLE)[0].measured
    given = _by_k(study, lines, _given)
    if best is None or given is None:
        return []
    return [
        "Relative to the target's own prompt, the best of all source prompts (the oracle) gives "
        f"{best.mean:.1f} %.",
        f"The best of the k that are retrieved gives{given}",
    ]


def _kept(line: RetrievalLine) -> str | None:
    return None if line.kept is None else f"{100 * line.kept:z.0f}"


def _given(line: RetrievalLine) -> str | None:
    return None if line.measured is None else f"{line.measured.mean:z.1f}"


def _by_k(study: Study, lines: Sequence[RetrievalLine], show: Show) -> str | None:
    """Returns what each similarity and chance give, for every k; None where one gives nothing."""
    ways: dict[str, tuple[str, str | None]] = {
        f"by {similarity_name(name)}": (TOP_K, name) for name in study.similarities
    }
    ways["at random"] = (RANDOM_K, None)
    listed = []
    for way, (method, similarity) in ways.items():
        shown = [show(line) for line in _of(lines, method, similarity)]
        if None in shown:
            return None
        listed.append(f"{way} {', '.join(filter(None, shown))} %")
    cuts = [search_space_cut(study.transfer, k) for k in study.ks]
    cut = ", ".join(f"{100 * each:.0f}" for each in cuts if each is not None)
    ks = ", ".join(map(str, study.ks))
    return f", at k = {ks} (which cuts the search by {cut} %): {'; '.join(listed)}."


def _of(
    lines: Sequence[RetrievalLine], method: str, similarity: str | None = None
) -> list[RetrievalLine]:
    wanted = (method, similarity)
    return [line for line in lines if (line.method.method, line.method.similarity) == wanted]


def _difference(study: Study, similarity: str) -> str:
    """Returns how retrieval compares with chance where the choice matters most: at the least k."""
    k = min(study.ks)
    points, measured = top_minus_random(study, similarity, k)
    tuned = study.measure == ERROR_REDUCTION
    found, what = (points, "test score") if tuned else (measured, study.measure)
    if found is None:
        return ""
    ends = found.interval
    sure = f" (95 % interval {ends.low:+.1f} to {ends.high:+.1f})" if ends else ""
    return (
        f"At k = {k}, retrieval by {similarity_name(similarity)} gives {found.mean:+.1f} points of "
        f"{what} against chance{sure}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
