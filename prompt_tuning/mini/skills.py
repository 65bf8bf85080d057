"""The skills of the mini world, each of which draws texts and their correct answer.

A skill is a function `(draw, words, templates, level) -> Item`. Class 0 is the positive one
(follows, same, correct, ...). Higher levels are harder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.facts import (
    Fact,
    changed,
    different_facts,
    generalized,
    reworded,
    slots,
    some_fact,
)
from prompt_tuning.mini.lexicon import (
    CARE_VERBS,
    CAUSES,
    DEGREES,
    GIVER_TRAITS,
    HATED,
    KINDS,
    LOVED,
    PLAIN_VERBS,
    SCRIPTS,
    SENSES,
    STATES,
    TAKER_TRAITS,
    Words,
)
from prompt_tuning.mini.links import Link, different_links, state_links


@dataclass(frozen=True)
class Item:
    """The texts of an example and its answer: a class, or the words of an open answer."""

    parts: tuple[str, ...]
    answer: int | str


Skill = Callable[[Draw, Words, Sequence[int], int], Item]


# Single words and opinions.


def kind(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks for the kind of a thing, alone (level 1) or in a sentence."""
    name = draw.one(tuple(KINDS))
    thing = draw.one(words.kinds[name])
    if level == 1:
        return Item((f"the {thing} .",), name)
    fact = some_fact(draw, words, quality=draw.chance(0.5), place=draw.chance(0.5))
    fact = replace(fact, thing=thing)
    return Item((fact.sentence(_template(draw, templates, fact)),), name)


def sentiment(domains: Sequence[str]) -> Skill:
    """Returns the skill of telling praise from blame in the given domains."""

    def skill(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
        aspects, praise, blame = words.domains[draw.one(domains)]
        answer = draw.below(2)
        good, bad = tuple(words.praise) + praise * 2, tuple(words.blame) + blame * 2
        own, opposite = (bad, good) if answer else (good, bad)
        one, two = draw.some(aspects, 2)
        first, second = draw.some(own, 2)
        degree = draw.one(DEGREES) if draw.chance(0.5) else ""
        style = draw.below(4 if level == 1 else 6)
        verb = draw.one(HATED if answer else LOVED)
        text = (
            f"the {one} was {degree} {first} and {second} .",
            f"{degree} {first} {one} and {second} {two} .",
            f"i {verb} the {first} {one} .",
            f"the {one} was {first} and we {verb} the {two} .",
            f"the {one} was not {draw.one(opposite)} and the {two} was {degree} {first} .",
            f"i never {draw.one(LOVED if answer else HATED)} the {two} .",
        )[style]
        return Item((" ".join(text.split()),), answer)

    return skill


# Two sentences.


def paraphrase(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether two sentences mean the same; level 1 has no synonyms and one template."""
    fact = some_fact(draw, words, quality=draw.chance(0.6), place=draw.chance(0.6))
    answer = draw.below(2)
    other = fact
    if level >= 2 and draw.chance(0.6):
        other = reworded(draw, fact)
    if answer:
        other = changed(draw, words, other, draw.one(slots(fact)))
    one = _template(draw, templates, fact)
    two = one if level == 1 or draw.chance(0.3) else _template(draw, templates, fact)
    return Item((fact.sentence(one), other.sentence(two)), answer)


def inference(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether the second sentence follows (0) or not (1) from the first.

    Level 1 drops words or swaps one; level 2 adds antonyms and additions; level 3 synonyms and
    names of kinds.
    """
    answer = draw.below(2)
    if level == 1:
        how = draw.one(("who", "thing", "place"))
    else:
        how = draw.one(("who", "thing", "place", "quality", "add"))
    if answer and how == "add":
        return _neutral(draw, words, templates, level)
    return _entailed(draw, words, templates, level, how if answer else "", int(answer))


def inference3(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether the second sentence follows (0), may be so (1) or is ruled out (2).

    It is ruled out by an antonym or by another place. It may be so if it adds a quality or place
    that the first sentence does not mention.
    """
    answer = draw.below(3)
    if answer == 1:
        return _neutral(draw, words, templates, level)
    how = draw.one(("quality", "place")) if answer else ""
    return _entailed(draw, words, templates, level, how, answer)


def similarity(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks how much two sentences share: everything (0), half of the slots (1) or nothing (2)."""
    answer = draw.below(3)
    fact, other = different_facts(draw, words, 2, quality=False, place=True)
    if answer == 0:
        other = reworded(draw, fact) if level > 1 and draw.chance(0.5) else fact
    elif answer == 1:
        kept = set(draw.some(("who", "verb", "thing", "place"), 2))
        other = Fact(
            **{
                s: getattr(fact if s in kept else other, s)
                for s in ("who", "verb", "thing", "place")
            }
        )
    one = _template(draw, templates, fact)
    two = one if level == 1 else _template(draw, templates, other)
    return Item((fact.sentence(one), other.sentence(two)), answer)


def senses(keys: Sequence[str]) -> Skill:
    """Returns the skill of distinguishing the senses of the given words in context.

    Level 1 asks for the gloss of the sense; level 2 whether a gloss fits; level 3 whether a word
    has the same sense in two sentences.
    """

    def sentence(draw: Draw, key: str, sense: int) -> str:
        one, two = draw.some(SENSES[key][sense][1].split(), 2)
        return draw.one(
            (
                f"the {key} was near the {one} and the {two} .",
                f"a {one} by the {key} .",
                f"we saw a {key} and a {one} .",
                f"the {one} and the {two} at the {key} .",
            )
        )

    def skill(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
        key, sense = draw.one(keys), draw.below(2)
        first = sentence(draw, key, sense)
        if level == 1:
            return Item((key, first), SENSES[key][sense][0])
        answer = draw.below(2)
        shown = 1 - sense if answer else sense
        if level == 2:
            return Item((key, first, SENSES[key][shown][0]), answer)
        return Item((key, first, sentence(draw, key, shown)), answer)

    return skill


# One sentence, well formed or not.


def acceptability(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether a sentence is well formed (0) or not (1).

    Level 1: doubled words and wrong agreement. Level 2: neighbors swapped, in the plain template
    only. Level 3: all faults in all templates.
    """
    answer = draw.below(2)
    if level == 1 or draw.chance(0.25):
        plural = draw.chance(0.5)
        who = draw.one(("we", "they")) if plural else draw.one(words.people)
        where = f"in the {draw.one(words.places)}" if draw.chance(0.6) else ""
        verb = "were" if plural else "was"
        text = f"{who} {verb} {draw.one(STATES)} {where} ."
        if answer and draw.chance(0.6):
            wrong = "was" if plural else "were"
            return Item((" ".join(text.replace(f" {verb} ", f" {wrong} ").split()),), 1)
    else:
        fact = some_fact(draw, words, quality=draw.chance(0.5), place=draw.chance(0.6))
        text = fact.sentence(0 if level == 2 else _template(draw, templates, fact))
    tokens = text.split()
    if answer and (level == 1 or draw.chance(0.25)):
        at = draw.below(len(tokens) - 1)
        tokens.insert(at, tokens[at])
    elif answer:
        at = draw.below(len(tokens) - 2)
        if tokens[at] == "it":
            at += 2
        tokens[at], tokens[at + 1] = tokens[at + 1], tokens[at]
    return Item((" ".join(tokens),), answer)


def misplaced(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks for the word of a plain sentence that was moved one place to the right."""
    fact = some_fact(draw, words, quality=draw.chance(0.5), place=draw.chance(0.6))
    tokens = fact.sentence(0).split()
    at = draw.below(len(tokens) - 2)
    tokens[at], tokens[at + 1] = tokens[at + 1], tokens[at]
    return Item((" ".join(tokens),), tokens[at + 1])


# Questions about a passage.


def extraction(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks for the other end of a link in a passage."""
    link, _, text = _passage(draw, words, templates, level)
    end = draw.below(2)
    return Item((link.question(end), text), link.ends[end])


def cloze(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks for the word behind a blank in a restatement of one of two links."""
    link, _, text = _passage(draw, words, templates, level)
    end = draw.below(2)
    return Item((text, link.having(end, "blank").claim()), link.ends[end])


def verification(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether a claim about a passage is true (0) or mixes up its links (1)."""
    answer = draw.below(2)
    link, other, text = _passage(draw, words, templates, level)
    end = draw.below(2)
    claim = link.having(end, other.ends[end]) if answer else link
    return Item((text, claim.claim()), answer)


def candidate(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether an offered answer to a question about a passage is right (0) or wrong (1)."""
    answer = draw.below(2)
    link, other, text = _passage(draw, words, templates, level)
    end = draw.below(2)
    offered = (other if answer else link).ends[end]
    return Item((text, link.question(end), offered), answer)


def answerable(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether a sentence answers a question (0) or is about other words (1)."""
    answer = draw.below(2)
    link, _, text = _passage(draw, words, templates, level)
    while answer and not _apart(link, text):
        link, _ = different_links(draw, words)
    return Item((link.question(draw.below(2)), text), answer)


def counting(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks how many things someone has in a list of three."""
    one, two = draw.some(words.people, 2)
    n = 1 + draw.below(3)
    owners = draw.shuffled([one] * n + [two] * (3 - n))
    things = draw.some(words.objects, 3)
    text = " ".join(f"{who} kept the {thing} ." for who, thing in zip(owners, things, strict=True))
    return Item((f"how many things were kept by {one} ?", text), ("one", "two", "three")[n - 1])


# People, causes and what comes next.


def coreference(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks for the person that a pronoun refers to; see `_pronoun` for the levels."""
    text, right, _ = _pronoun(draw, words, level)
    return Item((text,), right)


def reference_claim(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks whether a pronoun refers to a named person (0) or not (1)."""
    text, right, wrong = _pronoun(draw, words, level)
    answer = draw.below(2)
    return Item((text, wrong if answer else right), answer)


def causation(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks which of two events is the effect, or the cause, of a third."""
    here, there = draw.some(CAUSES, 2)
    answer, back = draw.below(2), draw.below(2)
    choices = [here[1 - back], there[1 - back]]
    if answer:
        choices.reverse()
    return Item((here[back] + (" because ?" if back else " so ?"), *choices), answer)


def continuation(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks which of two events comes next in a story."""
    here, there = draw.some(SCRIPTS, 2)
    who, pronoun = _person(draw, words)
    answer, at = draw.below(2), 1 + draw.below(3)
    choices = [here[at], there[1 + draw.below(3)]]
    if answer:
        choices.reverse()
    text = f"{who} {here[at - 1]} ."
    if at > 1 and draw.chance(0.5):
        text = f"{who} {here[at - 2]} . {pronoun} {here[at - 1]} ."
    return Item((text, *(f"{pronoun} {choice}" for choice in choices)), answer)


def story(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    """Asks for the continuation of a story about a person."""
    events = draw.one(SCRIPTS)
    who, pronoun = _person(draw, words)
    opening = draw.one(("", "one day ", f"near the {draw.one(words.places)} "))
    text = f"{opening}{who} {events[0]} ."
    if draw.chance(0.5):
        return Item((text,), f"then {pronoun} {events[1]} .")
    return Item((f"{text} then {pronoun} {events[1]} .",), f"at last {pronoun} {events[3]} .")


# Parts shared by the skills.


def _template(draw: Draw, templates: Sequence[int], fact: Fact) -> int:
    """Draws a template; without a place, templates 1 and 4 would equal others."""
    return draw.one(templates) if fact.place else draw.other(templates, 1, 4)


def _neutral(draw: Draw, words: Words, templates: Sequence[int], level: int) -> Item:
    fact = some_fact(draw, words, quality=True, place=True)
    missing = draw.one(("quality", "place"))
    known = replace(fact, **{missing: ""})
    shown = replace(fact, **{"place" if missing == "quality" else "quality": ""})
    shown = shown if draw.chance(0.7) else fact
    return Item(_pair(draw, words, templates, level, known, shown), 1)


def _entailed(
    draw: Draw, words: Words, templates: Sequence[int], level: int, wrong: str, answer: int
) -> Item:
    """Draws a fact and a part of it that follows; changes the slot `wrong`, if given."""
    keep = wrong or draw.one(("quality", "place", "none"))
    fact = some_fact(
        draw,
        words,
        quality=keep == "quality" or draw.chance(0.7),
        place=keep == "place" or draw.chance(0.7),
    )
    shown = Fact(
        fact.who,
        fact.verb,
        fact.thing,
        fact.quality if keep == "quality" else "",
        fact.place if keep == "place" else "",
    )
    if wrong:
        shown = changed(draw, words, shown, wrong)
    return Item(_pair(draw, words, templates, level, fact, shown, wrong), answer)


def _pair(
    draw: Draw,
    words: Words,
    templates: Sequence[int],
    level: int,
    known: Fact,
    shown: Fact,
    wrong: str = "",
) -> tuple[str, str]:
    if level >= 3 and draw.chance(0.35):
        shown = reworded(draw, shown)
    if level >= 3 and wrong != "thing" and draw.chance(0.3):
        shown = generalized(words, shown)
    one = _template(draw, templates, known)
    two = one if level == 1 and shown.place else _template(draw, templates, shown)
    return known.sentence(one), shown.sentence(0 if level == 1 else two)


def _passage(
    draw: Draw, words: Words, templates: Sequence[int], level: int
) -> tuple[Link, Link, str]:
    """Returns two links and a sentence that states them."""
    links = different_links(draw, words)
    return *links, state_links(draw, words, templates, draw.shuffled(links))


def _apart(link: Link, text: str) -> bool:
    return not set(link.ends) & set(text.split())


def _person(draw: Draw, words: Words) -> tuple[str, str]:
    woman = draw.chance(0.5)
    return draw.one(words.women if woman else words.men), "she" if woman else "he"


def _pronoun(draw: Draw, words: Words, level: int) -> tuple[str, str, str]:
    """Returns a sentence with a pronoun, the person it refers to, and the other person.

    At level 1 gender decides. Level 2 adds pairs of one gender, where the helper is kind, patient,
    ... and the person helped is sick, hungry, ...
    """
    woman = draw.chance(0.5)
    pronoun = "she" if woman else "he"
    own, opposite = (words.women, words.men) if woman else (words.men, words.women)
    first = draw.chance(0.5)
    if level >= 2 and draw.chance(0.5):
        right, wrong = draw.some(own, 2)
        verb = draw.one(CARE_VERBS)
        trait = draw.one(GIVER_TRAITS if first else TAKER_TRAITS)
    else:
        right, wrong = draw.one(own), draw.one(opposite)
        verb, trait = draw.one(PLAIN_VERBS), draw.one(STATES)
    one, two = (right, wrong) if first else (wrong, right)
    return f"{one} {verb} {two} because {pronoun} was {trait} .", right, wrong


# The skills in pre-training.

SKILLS: dict[str, Skill] = {
    "kind": kind,
    "sentiment": sentiment(("film", "meal", "hotel", "book", "phone")),
    "paraphrase": paraphrase,
    "inference": inference,
    "inference3": inference3,
    "similarity": similarity,
    "sense": senses(tuple(SENSES)),
    "acceptability": acceptability,
    "misplaced": misplaced,
    "extraction": extraction,
    "cloze": cloze,
    "verification": verification,
    "candidate": candidate,
    "answerable": answerable,
    "counting": counting,
    "coreference": coreference,
    "reference": reference_claim,
    "causation": causation,
    "continuation": continuation,
    "story": story,
}
