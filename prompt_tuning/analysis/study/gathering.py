"""A study from its plan, the outcomes of its rows, and what was retrieved."""

import platform
from collections.abc import Mapping, Sequence
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
    outcomes: Sequence[RowResult],
    retrieval: StudyRetrieval,
    *,
    title: str,
    settings: str,
) -> Study:
    """Returns the study that the outcomes of all its rows make.

    Args:
        plan: The study.
        outcomes: All its rows.
        retrieval: What was retrieved.
        title: What the report calls it.
        settings: The resolved configuration.
    """
    score, validation = (
        _Table(plan, {outcome.row["name"]: getattr(outcome, field) for outcome in outcomes})
        for field in ("score", "validation")
    )
    transfers = [plan.transfer_name(*on, *of) for on in plan.replicates for of in plan.candidates]
    baseline = [plan.baseline_name(*on) for on in plan.replicates]
    embeddings = [_of_seeds(plan, retrieval, task) for task in plan.tasks]
    return Study(
        title=title,
        transfer=TransferScores(
            targets=plan.targets,
            seeds=plan.target_seeds,
            candidates=tuple(Candidate(*pair) for pair in plan.candidates),
            baseline=score.of(baseline)[..., 0],
            scores=score.of(transfers),
            validation=validation.of(transfers),
        ),
        measure=ERROR_REDUCTION,
        similarities=retrieval.similarities,
        tasks=plan.tasks,
        task_similarities={
            name: task_similarities(embeddings, embeddings, name) for name in SIMILARITIES
        },
        methods=_methods(plan, score),
        ks=plan.best_of,
        records=[outcome.result() for outcome in outcomes],
        settings=settings,
        facts=_facts(outcomes),
    )


def study_records(plan: StudyPlan, outcomes: Sequence[RowResult]) -> list[dict[str, Any]]:
    """Returns the rows of `results.json`, in which a source has its seed where it has several."""
    several = len(plan.source_seeds) > 1
    sources = {
        plan.transfer_name(*on, *of): f"{of[0]} seed {of[1]}" if several else of[0]
        for on in plan.replicates
        for of in plan.candidates
    }
    return [
        {**outcome.result(), "source": sources.get(outcome.row["name"], outcome.row["source"])}
        for outcome in outcomes
    ]


class _Table:
    """Looks up values of rows by their names."""

    def __init__(self, plan: StudyPlan, values: Mapping[str, float]):
        self._shape = len(plan.targets), len(plan.target_seeds), -1
        self._values = values

    def of(self, names: Sequence[str]) -> np.ndarray:
        """Returns the values of rows in the order of targets, seeds and the rest, `[T, J, ...]`."""
        return np.array([self._values[name] for name in names]).reshape(self._shape)


def _methods(plan: StudyPlan, score: _Table) -> list[MethodScores]:
    """Returns the scores of the methods that train from several prompts at once."""
    return [
        MethodScores(
            method=method,
            similarity=similarity,
            k=k,
            scores=score.of(
                [plan.method_name(method, *on, similarity, k) for on in plan.replicates]
            )[..., 0],
        )
        for method, ks in ((AVERAGE, plan.averages), (MIXTURE, plan.mixtures))
        for similarity in SIMILARITIES
        for k in ks
    ]


def _of_seeds(plan: StudyPlan, retrieval: StudyRetrieval, task: str) -> np.ndarray:
    """Returns a task's embeddings of all its seeds, `[I, P, H]`."""
    seeds = plan.source_seeds if task in plan.sources else plan.target_seeds
    return retrieval.embeddings([(task, seed) for seed in seeds])


def _facts(outcomes: Sequence[RowResult]) -> dict[str, str]:
    """Says how the study came about."""
    # Rows train side by side, so that their seconds add up to those of the run.
    minutes = sum(outcome.seconds for outcome in outcomes) / 60
    steps = sum(outcome.row["schedule"]["steps"] for outcome in outcomes)
    return {
        "frozen model": outcomes[0].backbone,
        "prompts tuned": f"{len(outcomes):,}, {steps:,} steps in all",
        "training time": f"{minutes:.1f} minutes",
        "devices": f"{jax.device_count()} {jax.default_backend()} ({platform.machine()})",
        "versions": (
            f"prompt_tuning {prompt_tuning.__version__}, JAX {jax.__version__}, "
            f"Python {platform.python_version()}"
        ),
    }
