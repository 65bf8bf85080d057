"""The sets of label words, and which of them pre-training holds out from each skill.

Tasks of the suite use label words that pre-training uses for other skills but never for theirs. A
prompt has to combine a known skill with known words in a new way.
"""

from __future__ import annotations

Labels = tuple[str, ...]

YES = ("yes", "no")
TRUE = ("true", "false")
GOOD = ("good", "bad")
RIGHT = ("right", "wrong")
SAME = ("same", "different")
PLUS = ("plus", "minus")
HIGH = ("high", "low")
FINE = ("fine", "poor")
UP = ("up", "down")
AGREE = ("agree", "disagree")
PAIRS = (YES, TRUE, GOOD, RIGHT, SAME, PLUS, HIGH, FINE, UP, AGREE)

FIRST = ("first", "second")
ONE = ("one", "two")
ALPHA = ("alpha", "beta")
TOP = ("top", "bottom")
CHOICES = (FIRST, ONE, ALPHA, TOP)

YES3 = ("yes", "maybe", "no")
TRUE3 = ("true", "unknown", "false")
ALL3 = ("all", "some", "none")
PLUS3 = ("plus", "zero", "minus")
HIGH3 = ("high", "middle", "low")
RIGHT3 = ("right", "unclear", "wrong")
AGREE3 = ("agree", "unsure", "disagree")
TRIPLES = (YES3, TRUE3, ALL3, PLUS3, HIGH3, RIGHT3, AGREE3)

# skill: (first set, all possible sets, sets held out for the suite)
_ANSWERED = {
    "sentiment": (GOOD, PAIRS, (UP, PLUS, TRUE)),
    "paraphrase": (SAME, PAIRS, (YES, RIGHT)),
    "inference": (YES, PAIRS, (TRUE,)),
    "inference3": (YES3, TRIPLES, (TRUE3,)),
    "similarity": (ALL3, TRIPLES, (HIGH3,)),
    "sense": (SAME, PAIRS, (YES,)),
    "acceptability": (GOOD, PAIRS, (RIGHT,)),
    "verification": (RIGHT, PAIRS, (YES,)),
    "candidate": (RIGHT, PAIRS, (TRUE,)),
    "answerable": (YES, PAIRS, (RIGHT,)),
    "reference": (SAME, PAIRS, (YES, TRUE)),
    "causation": (ONE, CHOICES, (FIRST,)),
    "continuation": (FIRST, CHOICES, (ONE,)),
}


def first_labels(skill: str) -> Labels:
    """Returns the label words that pre-training introduces a skill with."""
    return _ANSWERED[skill][0]


def corpus_labels(skill: str) -> tuple[Labels, ...]:
    """Returns all sets of label words that pre-training text uses for a skill."""
    _, possible, held_out = _ANSWERED[skill]
    return tuple(labels for labels in possible if labels not in held_out)


def held_out_labels(skill: str) -> tuple[Labels, ...]:
    """Returns the sets of label words reserved for the suite's tasks of a skill."""
    return _ANSWERED[skill][2]
