"""Gathers the finished rows of a study into the scores that its report shows."""

import platform
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import prompt_tuning
from prompt_tuning.analysis.study.scores import (
    ERROR_REDUCTION,
    Candidate,
    MethodScores,
    Study,
    TransferScores,
)
from prompt_tuning.training.results import RowResult
from prompt_tuning.transfer.methods import AVERAGE, MIXTURE
from prompt_tuning.transfer.similarity import SIMILARITIES, task_similarities
from prompt_tuning.transfer.study import StudyPlan, StudyRetrieval


def gather(
    plan: StudyPlan,
    results: Sequence[RowResult],
    retrieval: StudyRetrieval,
    *,
    title: str,
    settings: str,
) -> Study:
    """Returns the scores, similarities and facts of a finished study.

    Args:
        plan: The plan of the study.
        results: The results of all its rows.
        retrieval: Its task embeddings and their similarities.
        title: Title of the report.
        settings: The resolved gin configuration.
    """
    by_name = {result.row["name"]: result for result in results}
    shape = len(plan.targets), len(plan.target_seeds), -1

    def values(field: str, names: Sequence[str]) -> np.ndarray:
        """Returns a field of rows that are in order of targets, seeds and others, `[T, J, ...]`."""
        return np.array([getattr(by_name[name], field) for name in names]).reshape(shape)

    transfers = [plan.transfer_name(*on, *of) for on in plan.replicates for of in plan.candidates]
    baseline = [plan.baseline_name(*on) for on in plan.replicates]
    embeddings = [_seed_embeddings(plan, retrieval, task) for task in plan.tasks]
    methods = [
        MethodScores(
            method=method,
            similarity=similarity,
            k=k,
            scores=values(
                "score", [plan.method_name(method, *on, similarity, k) for on in plan.replicates]
            )[..., 0],
        )
        for method, ks in ((AVERAGE, plan.averages), (MIXTURE, plan.mixtures))
        for similarity in SIMILARITIES
        for k in ks
    ]
    return Study(
        title=title,
        transfer=TransferScores(
            targets=plan.targets,
            seeds=plan.target_seeds,
            candidates=tuple(Candidate(*pair) for pair in plan.candidates),
            baseline=values("score", baseline)[..., 0],
            scores=values("score", transfers),
            validation=values("validation", transfers),
        ),
        measure=ERROR_REDUCTION,
        similarities=retrieval.similarities,
        tasks=plan.tasks,
        task_similarities={
            name: task_similarities(embeddings, embeddings, name) for name in SIMILARITIES
        },
        methods=methods,
        ks=plan.best_of,
        records=[result.record() for result in results],
        settings=settings,
        facts=_facts(results),
    )


def study_records(plan: StudyPlan, results: Sequence[RowResult]) -> list[dict[str, Any]]:
    """Returns the records of all rows; `source` names the seed where sources have several."""
    several = len(plan.source_seeds) > 1
    sources = {
        plan.transfer_name(*on, *of): f"{of[0]} seed {of[1]}" if several else of[0]
        for on in plan.replicates
        for of in plan.candidates
    }
    return [
        {**result.record(), "source": sources.get(result.row["name"], result.row["source"])}
        for result in results
    ]


def _seed_embeddings(plan: StudyPlan, retrieval: StudyRetrieval, task: str) -> np.ndarray:
    """Returns the embeddings of a task from all its seeds, `[I, P, H]`."""
    seeds = plan.source_seeds if task in plan.sources else plan.target_seeds
    return retrieval.embeddings([(task, seed) for seed in seeds])


def _facts(results: Sequence[RowResult]) -> dict[str, str]:
    """Returns the model, the amount of training, the devices and the versions, by name."""
    # Rows share the run's time, so their seconds add up to it.
    minutes = sum(result.seconds for result in results) / 60
    steps = sum(result.row["schedule"]["steps"] for result in results)
    return {
        "frozen model": results[0].backbone,
        "prompts tuned": f"{len(results):,}, {steps:,} steps in all",
        "training time": f"{minutes:.1f} minutes",
        "devices": f"{jax.device_count()} {jax.default_backend()} ({platform.machine()})",
        "versions": (
            f"prompt_tuning {prompt_tuning.__version__}, JAX {jax.__version__}, "
            f"Python {platform.python_version()}"
        ),
    }
