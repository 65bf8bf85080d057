"""Plans of transfer studies on toy tasks."""

import dataclasses
from typing import Any

from prompt_tuning.prompts.initializers import SampledVocab, Uniform
from prompt_tuning.training.schedule import Schedule
from prompt_tuning.transfer.study import StudyPlan
from tests.training import toy


def plan(**changes: Any) -> StudyPlan:
    """Returns a plan of two sources and two targets."""

    def schedule(steps: int) -> Schedule:
        return dataclasses.replace(toy.SCHEDULE, steps=steps)

    settings: dict[str, Any] = {
        "sources": ("near", "far"),
        "targets": ("small", "tiny"),
        "embedding_start": Uniform("paper"),
        "source_start": SampledVocab(None),
        "baseline": SampledVocab(None),
        "embedding": schedule(2),
        "source": schedule(3),
        "target": schedule(4),
        "mixture": schedule(5),
        "source_seeds": (0, 1),
        "target_seeds": (0, 1, 2),
        "best_of": (1, 2),
        "averages": (2,),
        "mixtures": (1, 3),
    }
    return StudyPlan(**{**settings, **changes})
