"""Facts (who did what to which thing, where), their sentences, and changes to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.lexicon import QUALITIES, VERBS, Words

# Sentence templates; the last is held out from pre-training text.
STATEMENTS = (
    "{who} {verb} the {quality} {thing} in the {place}",
    "in the {place} {who} {verb} the {quality} {thing}",
    "the {quality} {thing} was {verb} by {who} in the {place}",
    "it was {who} who {verb} the {quality} {thing} in the {place}",
    "in the {place} the {quality} {thing} was {verb} by {who}",
)
CORPUS_STATEMENTS = (0, 1, 2, 3)
SUITE_STATEMENTS = (0, 1, 2, 3, 4)

_SYNONYM = {a: b for pair in VERBS for a, b in (pair, pair[::-1])}
_SYNONYM |= {a: b for poles in QUALITIES for pair in poles for a, b in (pair, pair[::-1])}
_OPPOSITE = {
    word: poles[1 - side][rank]
    for poles in QUALITIES
    for side in (0, 1)
    for rank, word in enumerate(poles[side])
}
_VERBS = tuple(word for pair in VERBS for word in pair)


@dataclass(frozen=True)
class Fact:
    """The five slots of a fact; `quality` and `place` may be empty."""

    who: str
    verb: str
    thing: str
    quality: str = ""
    place: str = ""

    def sentence(self, template: int) -> str:
        """Returns the fact as a sentence, leaving out empty slots."""
        text = STATEMENTS[template]
        if not self.place:
            text = text.replace("in the {place}", "")
        return " ".join(text.format(**self.__dict__).split()) + " ."


def some_fact(draw: Draw, words: Words, *, quality: bool, place: bool) -> Fact:
    """Draws a fact with or without the two optional slots."""
    return Fact(
        who=draw.one(words.people),
        verb=draw.one(_VERBS),
        thing=draw.one(words.objects),
        quality=draw.one(draw.one(draw.one(QUALITIES))) if quality else "",
        place=draw.one(words.places) if place else "",
    )


def reworded(draw: Draw, fact: Fact) -> Fact:
    """Replaces the verb, the quality, or both by synonyms."""
    both = draw.below(3) if fact.quality else 0
    verb = _SYNONYM[fact.verb] if both != 1 else fact.verb
    quality = _SYNONYM[fact.quality] if both != 0 else fact.quality
    return replace(fact, verb=verb, quality=quality)


def opposed(fact: Fact) -> Fact:
    """Replaces the quality by its antonym."""
    return replace(fact, quality=_OPPOSITE[fact.quality])


def changed(draw: Draw, words: Words, fact: Fact, slot: str) -> Fact:
    """Replaces one slot by a word of another meaning."""
    if slot == "who":
        return replace(fact, who=draw.other(words.people, fact.who))
    if slot == "verb":
        return replace(fact, verb=draw.other(_VERBS, fact.verb, _SYNONYM[fact.verb]))
    if slot == "thing":
        return replace(fact, thing=draw.other(words.objects, fact.thing))
    if slot == "place":
        return replace(fact, place=draw.other(words.places, fact.place))
    return opposed(fact)


def generalized(words: Words, fact: Fact) -> Fact:
    """Replaces the thing by the name of its kind."""
    kind = next(kind for kind, things in words.kinds.items() if fact.thing in things)
    return replace(fact, thing=kind)


def slots(fact: Fact) -> list[str]:
    """Returns the names of the filled slots."""
    return [slot for slot in ("who", "verb", "thing", "quality", "place") if getattr(fact, slot)]


def different_facts(
    draw: Draw, words: Words, n: int, *, quality: bool = False, place: bool = True
) -> list[Fact]:
    """Draws n facts whose words all differ, and whose verbs are not synonyms."""
    facts: list[Fact] = []
    while len(facts) < n:
        fact = some_fact(draw, words, quality=quality, place=place)
        if all(_apart(fact, earlier) for earlier in facts):
            facts.append(fact)
    return facts


def _apart(a: Fact, b: Fact) -> bool:
    if a.verb == _SYNONYM[b.verb]:
        return False
    return all(getattr(a, slot) != getattr(b, slot) for slot in slots(a))
