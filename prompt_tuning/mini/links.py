"""Links between two words, a thing and its quality or a person and a job; and their passages.

A passage states two links of one kind; a question gives one end of a link and asks for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.lexicon import JOBS, QUALITIES, Words

# The last of each goes with sentence template 4, which is held out from pre-training.
_THINGS = (
    "here is the {0} and the {1} .",
    "{who} saw the {0} and the {1} .",
    "the {0} was near the {1} in the {place} .",
    "by the {0} stood the {1} .",
)
_PEOPLE = (
    "{0} met {1} .",
    "we saw {0} with {1} .",
    "{0} and {1} were in the {place} .",
    "in came {0} before {1} .",
)


@dataclass(frozen=True)
class Link:
    """A quality and a thing, or a job and a person.

    Attributes:
        ends: The quality or job, then the thing or person.
        person: Whether it is a job and a person.
    """

    ends: tuple[str, str]
    person: bool

    def question(self, end: int) -> str:
        """Returns the question for the first (0) or second (1) end, given the other."""
        first, second = self.ends
        if self.person:
            return f"who was the {first} ?" if end else f"what was {second} ?"
        return f"what was {first} ?" if end else f"how was the {second} ?"

    def claim(self) -> str:
        """Returns a sentence that states the link."""
        there = " ".join(self.ends)
        return f"{there} was there ." if self.person else f"the {there} was there ."

    def having(self, end: int, word: str) -> Link:
        """Returns the link with one end replaced."""
        ends = (self.ends[0], word) if end else (word, self.ends[1])
        return replace(self, ends=ends)


def different_links(draw: Draw, words: Words) -> tuple[Link, Link]:
    """Draws two links of one kind without a common end."""
    person = draw.chance(0.5)
    if person:
        firsts = draw.some(JOBS, 2)
    else:
        firsts = [draw.one(draw.one(poles)) for poles in draw.some(QUALITIES, 2)]
    seconds = draw.some(words.people if person else words.objects, 2)
    one, two = (Link(ends, person) for ends in zip(firsts, seconds, strict=True))
    return one, two


def state_links(draw: Draw, words: Words, templates: Sequence[int], links: Sequence[Link]) -> str:
    """Returns a sentence that states two links, in the given order."""
    person = links[0].person
    ways = 4 if 4 in templates else 3
    return (_PEOPLE if person else _THINGS)[draw.below(ways)].format(
        *(" ".join(link.ends) for link in links),
        who=draw.one(words.people),
        place=draw.one(words.places),
    )
