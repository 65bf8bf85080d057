"""Links: short facts that join two things, and questions that ask one end for the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prompt_tuning.data.mini.draw import Draw
from prompt_tuning.data.mini.lexicon import VERBS, Words

_DEEDS = ("{0} {verb} {1} .", "{1} was {verb} by {0} .", "it was {0} who {verb} {1} .")
_STAYS = ("{0} was in {1} .", "in {1} was {0} .", "it was {0} that was in {1} .")


@dataclass(frozen=True)
class Link:
    """Holds who did what to which thing, or who or what was where.

    Attributes:
        ends: The person or thing that comes first, and the thing or place it is joined to.
        verb: What was done; empty where `ends[1]` is a place.
        person: Whether `ends[0]` is a person and takes no article.
    """

    ends: tuple[str, str]
    verb: str
    person: bool

    def told(self, draw: Draw, templates: Sequence[int]) -> str:
        """Tells the link; the third way of telling it goes with the held-out template 4."""
        usable = 3 if 4 in templates else 2
        clause = (_DEEDS if self.verb else _STAYS)[draw.below(usable)]
        return clause.format(*self._phrases(), verb=self.verb)

    def question(self, end: int) -> str:
        """Asks for the first (0) or the second (1) end by the other."""
        first, second = self._phrases()
        if end == 0:
            return f"{'who' if self.person else 'what'} {self.verb or 'was in'} {second} ?"
        return f"what was {self.verb} by {first} ?" if self.verb else f"where was {first} ?"

    def having(self, end: int, word: str) -> Link:
        """Returns the link with one end replaced."""
        ends = (word, self.ends[1]) if end == 0 else (self.ends[0], word)
        return replace(self, ends=ends)

    def _phrases(self) -> tuple[str, str]:
        first, second = self.ends
        return first if self.person else f"the {first}", f"the {second}"


def different_links(draw: Draw, words: Words) -> tuple[Link, Link]:
    """Draws two links of one sort that share no word but their grammar."""
    deed = draw.chance(0.5)
    person = deed or draw.chance(0.5)
    firsts = draw.some(words.people if person else words.objects, 2)
    seconds = draw.some(words.objects if deed else words.places, 2)
    verbs = [draw.one(pair) for pair in draw.some(VERBS, 2)] if deed else ["", ""]
    one, two = (
        Link((first, second), verb, person)
        for first, second, verb in zip(firsts, seconds, verbs, strict=True)
    )
    return one, two
