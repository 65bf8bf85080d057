"""Studies for the tests: planted scores and similarities, without any training."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.study import ERROR_REDUCTION, Study
from prompt_tuning.analysis.table import Cell, Score
from prompt_tuning.analysis.transfer_scores import Candidate, TransferScores


def transfer_of(
    scores: np.ndarray, validation: np.ndarray | None = None, baseline: float = 50.0
) -> TransferScores:
    """Returns scores `[T, J, C]` of targets `t0`... from candidates `s0`... of one seed each."""
    targets, seeds, candidates = scores.shape
    return TransferScores(
        targets=tuple(f"t{target}" for target in range(targets)),
        seeds=tuple(range(seeds)),
        candidates=tuple(Candidate(f"s{source}", 0) for source in range(candidates)),
        baseline=np.full((targets, seeds), baseline),
        scores=scores,
        validation=scores if validation is None else validation,
    )


def study_of(
    transfer: TransferScores, similarities: np.ndarray, ks: Sequence[int] = (1, 2)
) -> Study:
    """Returns a study with the one similarity `mean_token`, `[T, J, C]`."""
    tasks = tuple(dict.fromkeys((*transfer.sources, *transfer.targets)))
    return Study(
        title="planted",
        transfer=transfer,
        measure=ERROR_REDUCTION,
        similarities={"mean_token": similarities},
        tasks=tasks,
        task_similarities={"mean_token": np.eye(len(tasks))},
        ks=ks,
        methods=(),
        rows=(),
        settings="",
        facts={},
    )


def renamed(transfer: TransferScores, **names: Sequence[str]) -> TransferScores:
    """Returns the scores with other `targets`, or with candidates of other `sources`."""
    if "sources" in names:
        seeds = [candidate.seed for candidate in transfer.candidates]
        pairs = zip(names["sources"], seeds, strict=True)
        return dataclasses.replace(transfer, candidates=tuple(Candidate(*pair) for pair in pairs))
    return dataclasses.replace(transfer, targets=tuple(names["targets"]))


def numbers(found: Spread | Cell) -> tuple[float | None, float | None, int]:
    """Returns mean, standard deviation and n of a spread or a score, to three decimals."""
    spread = found.found if isinstance(found, Score) else found
    assert isinstance(spread, Spread)
    std = None if spread.std is None else round(spread.std, 3)
    return round(spread.mean, 3), std, spread.n
