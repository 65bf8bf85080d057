"""Studies made up for tests: whole ones with planted embeddings, and small ones of given scores."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.study.scores import (
    ERROR_REDUCTION,
    PERFORMANCE,
    Candidate,
    MethodScores,
    Study,
    TransferScores,
)
from prompt_tuning.analysis.table import Cell, Score
from prompt_tuning.transfer.similarity import SIMILARITIES


def made_up_study(
    sources: int, targets: int, seeds: int, *, names: str = "mini_task", points: int = 6
) -> Study:
    """Returns a study of tasks with planted embeddings: the more alike, the more transfer helps."""
    rng = np.random.default_rng(0)
    kinds = ["source"] * sources + ["target"] * targets
    tasks = [f"{names}_{kind}{index}" for index, kind in enumerate(kinds)]
    vectors = rng.normal(size=(len(tasks), 1, 6)) + 0.3 * rng.normal(size=(len(tasks), seeds, 6))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    candidates = tuple(Candidate(task, seed) for task in tasks[:sources] for seed in range(seeds))
    alike = vectors[sources:] @ vectors[:sources].reshape(-1, 6).T
    baseline = rng.uniform(55, 85, size=(targets, seeds))
    gains = 18 * alike + rng.normal(0, 5, alike.shape)
    scores = np.clip(baseline[..., None] + gains, 0, 100)
    similarities = {name: alike * scale for name, scale in zip(SIMILARITIES, (1, 0.4), strict=True)}
    between = np.einsum("aih,bjh->ab", vectors, vectors) / seeds**2
    transfer = TransferScores(
        targets=tuple(tasks[sources:]),
        seeds=tuple(range(seeds)),
        candidates=candidates,
        baseline=baseline,
        scores=scores,
        validation=scores + rng.normal(0, 1, scores.shape),
    )
    return Study(
        title=f"Transfer from {sources} sources to {targets} targets",
        transfer=transfer,
        measure=ERROR_REDUCTION,
        similarities=similarities,
        tasks=tuple(tasks),
        task_similarities={"mean_token": between, "per_token": 0.4 * between},
        ks=(1, 3, 6),
        methods=[
            MethodScores(
                method="top_k_weighted_average", similarity="mean_token", k=3, scores=baseline + 1.5
            )
        ],
        records=_records(transfer, points),
        settings='MODEL_DIR = "/tmp/a<b>&c"\nTRAIN_STEPS = 1000\n' * 20,
        facts={"backbone": "t5_mini", "versions": "jax 0.10.2, flax 0.12.8"},
    )


def made_up_matrix(tasks: int) -> Study:
    """Returns a study of a given square matrix: relative performance, no records, no settings."""
    rng = np.random.default_rng(1)
    names = tuple(f"task_{index}" for index in range(tasks))
    vectors = rng.normal(size=(tasks, 8))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    alike = vectors @ vectors.T
    own = rng.uniform(50, 90, size=(tasks, 1))
    part = np.clip(0.5 + 0.4 * alike + rng.normal(0, 0.1, alike.shape), 0, 1)
    np.fill_diagonal(part, 1.0)
    scores = (own * part)[:, None, :]
    transfer = TransferScores(
        targets=names,
        seeds=(0,),
        candidates=tuple(Candidate(name, 0) for name in names),
        baseline=own,
        scores=scores,
        validation=scores,
    )
    return Study(
        title="A given matrix",
        transfer=transfer,
        measure=PERFORMANCE,
        similarities={"mean_token": alike[:, None], "per_token": 0.4 * alike[:, None]},
        tasks=names,
        task_similarities={"mean_token": alike, "per_token": 0.4 * alike},
        ks=(1, 3),
        methods=[],
        records=[],
        settings="",
        facts={},
    )


def _records(transfer: TransferScores, points: int) -> list[dict]:
    records = []
    for t, target in enumerate(transfer.targets):
        for j, seed in enumerate(transfer.seeds):
            own = float(transfer.baseline[t, j])
            records.append(_record(target, None, seed, own, points))
            records += [
                _record(target, candidate.source, seed, float(transfer.scores[t, j, c]), points)
                for c, candidate in enumerate(transfer.candidates)
            ]
    return records


def _record(target: str, source: str | None, seed: int, score: float, points: int) -> dict:
    steps = np.linspace(0, 1000, points).astype(int).tolist()
    return {
        "backbone": "t5_mini",
        "method": "spot" if source else "prompt_tuning",
        "init": "file" if source else "sampled_vocab",
        "source": source,
        "target": target,
        "seed": seed,
        "metric": "accuracy",
        "split": "test",
        "score": score,
        "step": 1000,
        "steps": 1000,
        "curve": [[step, score * (1 - 0.5 * np.exp(-step / 250))] for step in steps],
        "seconds": 1.0,
    }


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
        records=(),
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
    spread = found.ours if isinstance(found, Score) else found
    assert isinstance(spread, Spread)
    std = None if spread.std is None else round(spread.std, 3)
    return round(spread.mean, 3), std, spread.n
