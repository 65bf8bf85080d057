"""Examples-proportional mixtures of tokenized tasks."""

import hashlib
import json
from collections.abc import Iterable

from prompt_tuning.data.cached_task import CachedMixture, CachedTask, MixtureOrTask
from prompt_tuning.data.datasets.dataset import CAP


def mixture_digest(parts: Iterable[tuple[CachedTask, float]]) -> str:
    """Returns the SHA-256 that identifies a mixture: of its tasks' digests and their rates."""
    what = [(part.digest, rate) for part, rate in parts]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


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
