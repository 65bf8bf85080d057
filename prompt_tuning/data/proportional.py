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
    """Mixes tasks in proportion to their numbers of training examples, each capped at `CAP`.

    Args:
        name: The name of the mixture.
        tasks: Tasks, and mixtures whose tasks are included; each task counts once. A streamed task
            counts as `CAP` examples.
    """
    members = {task.name: task for member in tasks for task in member.tasks}
    parts = tuple((part, _rate(part)) for part in members.values())
    return CachedMixture(name=name, digest=mixture_digest(parts), parts=parts)


def _rate(task: CachedTask) -> float:
    return float(CAP if task.stream is not None else min(len(task.split("train")), CAP))
