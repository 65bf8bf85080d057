"""Layouts: the words that introduce the texts of an example.

A task's layout never occurs in pre-training text of the same skill.
"""

from __future__ import annotations

Layout = tuple[str, ...]

_ONE = (("",), ("text :",), ("note :",))
_TWO = (("", "|"), ("text :", "claim :"), ("note :", "note :"))
_THREE = (("", "|", "|"), ("text :", "note :", "note :"), ("note :", "one :", "two :"))

_CORPUS: dict[str, tuple[Layout, ...]] = {
    "kind": _ONE,
    "sentiment": (*_ONE, ("line :",)),
    "acceptability": (*_ONE, ("phrase :",)),
    "misplaced": (*_ONE, ("line :",)),
    "coreference": (*_ONE, ("sentence :",)),
    "story": (("text :",), ("note :",), ("story :",)),
    "paraphrase": (*_TWO, ("premise :", "hypothesis :"), ("line :", "line :")),
    "inference": (*_TWO, ("sentence :", "sentence :"), ("passage :", "query :")),
    "inference3": (*_TWO, ("sentence :", "sentence :"), ("passage :", "query :")),
    "similarity": (*_TWO, ("premise :", "hypothesis :"), ("passage :", "query :")),
    "verification": (*_TWO, ("premise :", "hypothesis :")),
    "answerable": (("", "|"), ("note :", "note :"), ("query :", "text :")),
    "reference": (*_TWO, ("passage :", "query :")),
    "extraction": (("", "|"), ("note :", "note :"), ("query :", "text :")),
    "counting": (("", "|"), ("note :", "note :"), ("query :", "text :")),
    "cloze": (*_TWO, ("context :", "question :")),
    "sense": (*_THREE, ("word :", "line :", "line :")),
    "candidate": (*_THREE, ("text :", "query :", "claim :")),
    "causation": (*_THREE, ("story :", "ending :", "ending :")),
    "continuation": (*_THREE, ("premise :", "choice :", "choice :")),
}


def corpus_layouts(skill: str, parts: int) -> tuple[Layout, ...]:
    """Returns the layouts of pre-training text for a skill with a number of texts."""
    layouts = _CORPUS[skill]
    return tuple(x for x in layouts if len(x) == parts) or (_ONE, _TWO, _THREE)[parts - 1]


def laid_out(layout: Layout, parts: tuple[str, ...]) -> str:
    """Joins texts, each after the word that introduces it."""
    return " ".join(f"{word} {part}".strip() for word, part in zip(layout, parts, strict=True))
