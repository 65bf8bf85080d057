"""The findings of a transfer study, in a few sentences."""

from collections.abc import Callable, Sequence

import numpy as np

from prompt_tuning.analysis.study.chance import top_minus_random
from prompt_tuning.analysis.study.retrieval import (
    BASELINE,
    ORACLE,
    RANDOM_K,
    TOP_K,
    search_space_cut,
)
from prompt_tuning.analysis.study.retrieval_table import RetrievalLine, retrieval_lines
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, Study
from prompt_tuning.transfer.similarity import display_name


def findings(study: Study) -> list[str]:
    """Returns sentences on the size of the study, its scores, and how well retrieval does."""
    transfer = study.transfer
    tried = int(np.isfinite(transfer.scores).sum())
    studied = (
        f"{_count(len(transfer.sources), 'source task')} with "
        f"{_count(len(transfer.candidates), 'source prompt')}, "
        f"{_count(len(transfer.targets), 'target')} with "
        f"{_count(len(transfer.seeds), 'seed')}: {_count(tried, 'transfer')}."
    )
    lines = retrieval_lines(study)
    retrieved = _shares if study.measure == ERROR_REDUCTION else _performances
    differences = [_difference(study, name) for name in study.similarities]
    return list(filter(None, [studied, *retrieved(study, lines), *differences]))


def _shares(study: Study, lines: Sequence[RetrievalLine]) -> list[str]:
    """Returns average scores, and the share of the oracle's gain kept at each k."""
    alone, best = (_of(lines, method)[0].average for method in (BASELINE, ORACLE))
    if alone is None or best is None:
        return []
    averages = (
        f"Without transfer the targets score {alone.mean:.1f} on average; from the best of all "
        f"source prompts (the oracle) {best.mean:.1f}."
    )
    kept = _by_k(study, lines, lambda line: line.kept and 100 * line.kept, digits=0)
    return [averages, f"Share of that gain kept{kept}"] if kept else [averages]


def _performances(study: Study, lines: Sequence[RetrievalLine]) -> list[str]:
    """Returns the relative performance of the oracle, and of the best of each k."""
    best = _of(lines, ORACLE)[0].measured
    measured = _by_k(study, lines, lambda line: line.measured and line.measured.mean, digits=1)
    if best is None or measured is None:
        return []
    return [
        "Relative to the target's own prompt, the best of all source prompts (the oracle) gives "
        f"{best.mean:.1f} %.",
        f"The best of the k retrieved prompts gives{measured}",
    ]


def _by_k(
    study: Study,
    lines: Sequence[RetrievalLine],
    percent: Callable[[RetrievalLine], float | None],
    digits: int,
) -> str | None:
    """Lists the values of each similarity and of chance, for every k; None where one is missing."""
    ways: dict[str, tuple[str, str | None]] = {
        f"by {display_name(name)}": (TOP_K, name) for name in study.similarities
    }
    ways["at random"] = (RANDOM_K, None)
    parts = []
    for way, (method, similarity) in ways.items():
        numbers = [percent(line) for line in _of(lines, method, similarity)]
        if None in numbers:
            return None
        parts.append(f"{way} {', '.join(f'{number:z.{digits}f}' for number in numbers)} %")
    cuts = [search_space_cut(study.transfer, k) for k in study.ks]
    cut = ", ".join(f"{100 * share:.0f}" for share in cuts if share is not None)
    ks = ", ".join(map(str, study.ks))
    return f", at k = {ks} (which cuts the search by {cut} %): {'; '.join(parts)}."


def _of(
    lines: Sequence[RetrievalLine], method: str, similarity: str | None = None
) -> list[RetrievalLine]:
    wanted = (method, similarity)
    return [line for line in lines if (line.method.method, line.method.similarity) == wanted]


def _difference(study: Study, similarity: str) -> str:
    """Compares retrieval with chance at the least k, where the choice matters most."""
    k = min(study.ks)
    points, measured = top_minus_random(study, similarity, k)
    tuned = study.measure == ERROR_REDUCTION
    difference, unit = (points, "test score") if tuned else (measured, study.measure)
    if difference is None:
        return ""
    ends = difference.interval
    interval = f" (95 % interval {ends.low:+.1f} to {ends.high:+.1f})" if ends else ""
    return (
        f"At k = {k}, retrieval by {display_name(similarity)} differs from chance by "
        f"{difference.mean:+.1f} points of {unit}{interval}."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
