"""The stages of pre-training, in the order in which they introduce exercises.

A stage adds exercises and retires easier versions; all others stay in replay. The next stage starts
when the exercises that a stage added are mastered, or when its budget is spent.
"""

from __future__ import annotations

from dataclasses import dataclass

from prompt_tuning.mini.corpus import Exercise
from prompt_tuning.mini.labels import corpus_labels

E = Exercise


@dataclass(frozen=True)
class Stage:
    """A stage of pre-training.

    Attributes:
        name: What it introduces.
        adds: Exercises that start in this stage.
        retires: Exercises that are dropped from this stage on.
        most: The budget of the stage, in examples.
    """

    name: str
    adds: tuple[Exercise, ...]
    retires: tuple[Exercise, ...]
    most: int


_NARROW = (
    Stage(
        "matching",
        (E("paraphrase", 1), E("inference", 1), E("kind", 1), E("sentiment", 1)),
        (),
        40_000,
    ),
    Stage("questions", (E("extraction", 1), E("cloze", 1)), (), 80_000),
    Stage(
        "synonyms",
        (E("paraphrase", 3), E("verification", 1)),
        (E("paraphrase", 1),),
        60_000,
    ),
    Stage(
        "antonyms",
        (E("inference", 2), E("acceptability", 1), E("coreference", 1)),
        (E("inference", 1),),
        60_000,
    ),
    Stage("certainty", (E("inference3", 2), E("sense", 1)), (), 60_000),
    Stage(
        "order",
        (E("acceptability", 2), E("misplaced", 1)),
        (E("acceptability", 1),),
        60_000,
    ),
    Stage("stories", (E("story", 1), E("continuation", 3), E("causation", 3)), (), 60_000),
    Stage(
        "comparisons",
        (E("sense", 2), E("similarity", 2), E("reference", 2)),
        (E("coreference", 1),),
        60_000,
    ),
    Stage(
        "everything",
        (
            E("sentiment", 3),
            E("inference", 3),
            E("inference3", 3),
            E("acceptability", 3),
            E("sense", 3),
            E("candidate", 1),
            E("answerable", 1),
            E("coreference", 2),
            E("counting", 1),
        ),
        (
            E("sentiment", 1),
            E("inference", 2),
            E("inference3", 2),
            E("acceptability", 2),
            E("sense", 1),
            E("misplaced", 1),
        ),
        120_000,
    ),
)
_SHARED = tuple(
    E(skill, level)
    for skill, level in (
        ("kind", 1),
        ("cloze", 1),
        ("extraction", 1),
        ("counting", 1),
        ("coreference", 2),
        ("story", 1),
    )
)
_LABELLED = (
    ("sentiment", 3),
    ("paraphrase", 3),
    ("inference", 3),
    ("inference3", 3),
    ("similarity", 2),
    ("sense", 3),
    ("acceptability", 3),
    ("verification", 1),
    ("candidate", 1),
    ("answerable", 1),
    ("reference", 2),
    ("causation", 3),
    ("continuation", 3),
)
_WIDE = Stage(
    "labels",
    (E("spans", 1), *(E(skill, level, wide=True) for skill, level in _LABELLED)),
    (*(E(skill, level) for skill, level in _LABELLED), E("sense", 2)),
    160_000,
)

STAGES = (*_NARROW, _WIDE)
FINAL = (*_SHARED, *_WIDE.adds)
assert all(len(corpus_labels(skill)) > 1 for skill, _ in _LABELLED)
