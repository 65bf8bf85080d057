"""Examples-proportional mixtures of tokenized tasks."""

from collections.abc import Iterable

from prompt_tuning.data.cached_task import (
    CachedMixture,
    CachedTask,
    MixtureOrTask,
    mixture_digest,
)
from prompt_tuning.data.declarations import CAP


def proportional_mixture(name: str, tasks: Iterable[MixtureOrTask]) -> CachedMixture:
    """Mixes tasks at rates of their numbers of training examples, each at most `CAP`.

    Args:
        name: Of the mixture.
        tasks: Tasks, or mixtures whose tasks are meant; each task counts once. A streamed task is
            too large to hold, and counts as `CAP`.
    """
    members = {task.name: task for member in tasks for task in member.tasks}
    parts = tuple((part, _rate(part)) for part in members.values())
    return CachedMixture(name=name, digest=mixture_digest(parts), parts=parts)


def _rate(task: CachedTask) -> float:
    return float(CAP if task.stream is not None else min(len(task.split("train")), CAP))
