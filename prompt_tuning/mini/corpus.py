"""Pre-training text: an instruction that names a skill and its label words, then the texts.

As the instruction lists the label words, the model only has to choose among them. Some span
corruption keeps sentinels and plain text in use.
"""

from __future__ import annotations

from dataclasses import dataclass

from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.facts import CORPUS_STATEMENTS
from prompt_tuning.mini.labels import corpus_labels, first_labels
from prompt_tuning.mini.layouts import corpus_layouts, laid_out
from prompt_tuning.mini.lexicon import CORPUS_WORDS
from prompt_tuning.mini.skills import SKILLS, Item

# Instructions by skill. If the answer is a class, its label words follow.
INSTRUCTIONS = {
    "kind": ("name the kind", "what kind is this"),
    "sentiment": ("how is the opinion", "what does the writer feel", "judge the feeling"),
    "paraphrase": ("is the meaning equal", "compare the meaning", "is this a retelling"),
    "inference": ("does it follow", "is this implied", "judge the conclusion"),
    "inference3": ("how certain is it", "is it sure", "judge the certainty"),
    "similarity": ("how much is shared", "measure the overlap", "how alike are these"),
    "sense": ("compare the sense", "is the word used alike", "does the sense agree"),
    "acceptability": ("is the grammar fine", "judge the grammar", "is this well formed"),
    "misplaced": ("find the misplaced word", "which word moved"),
    "extraction": ("answer from the passage", "find the answer"),
    "cloze": ("fill the blank", "what is the blank"),
    "verification": ("is the report correct", "check the report", "did this happen"),
    "candidate": ("is the answer correct", "check the answer", "grade the answer"),
    "answerable": ("is the answer in here", "does this answer it", "can this be answered"),
    "counting": ("count the things", "how many are there"),
    "coreference": ("who is meant", "name the person"),
    "reference": ("is this the person meant", "does the pronoun refer to this", "check the person"),
    "causation": ("choose the cause or effect", "what is the reason or result", "which is linked"),
    "continuation": ("what comes next", "choose the next event", "how does it go on"),
    "story": ("continue the story", "tell the rest"),
}
_GLOSS = ("tell the sense", "which sense is it")  # at level 1, the answer is a gloss
SENTINELS = ("<extra_id_0>", "<extra_id_1>", "<extra_id_2>")


@dataclass(frozen=True)
class Exercise:
    """A kind of pre-training example.

    Attributes:
        skill: A name in `SKILLS`, or "spans" for span corruption.
        level: The difficulty, from 1.
        wide: Whether to use all of the skill's label words instead of only the first.
    """

    skill: str
    level: int
    wide: bool = False

    def __str__(self) -> str:
        return f"{self.skill}{self.level}{'+' if self.wide else ''}"


def example(draw: Draw, exercise: Exercise) -> tuple[str, str]:
    """Draws the inputs and targets of an example."""
    if exercise.skill == "spans":
        return _span_corruption(draw, passage(draw))
    item = _item(draw, exercise.skill, exercise.level)
    skill = exercise.skill
    body = laid_out(draw.one(corpus_layouts(skill, len(item.parts))), item.parts)
    if isinstance(item.answer, str):
        instruction = draw.one(_GLOSS if skill == "sense" else INSTRUCTIONS[skill])
        return f"{instruction} : {body}", item.answer
    labels = draw.one(corpus_labels(skill)) if exercise.wide else first_labels(skill)
    return f"{draw.one(INSTRUCTIONS[skill])} {' or '.join(labels)} ? {body}", labels[item.answer]


def passage(draw: Draw) -> str:
    """Draws plain text: the texts of a skill, without instruction, layout or answer."""
    return " ".join(_item(draw, draw.one(_PLAIN), 3).parts)


_PLAIN = ("sentiment", "inference", "extraction", "story", "continuation", "coreference")


def _item(draw: Draw, skill: str, level: int) -> Item:
    return SKILLS[skill](draw, CORPUS_WORDS, CORPUS_STATEMENTS, level)


def _span_corruption(draw: Draw, text: str) -> tuple[str, str]:
    """Replaces two spans of one or two words with sentinels; the target is the spans."""
    words = text.split()
    one = 1 + draw.below(max(1, len(words) // 2 - 3))
    two = len(words) // 2 + draw.below(max(1, len(words) // 2 - 2))
    cut = [(one, one + 1 + draw.below(2)), (two, two + 1 + draw.below(2))]
    inputs, targets, at = [], [], 0
    for sentinel, (start, end) in zip(SENTINELS, cut, strict=False):
        inputs += [*words[at:start], sentinel]
        targets += [sentinel, *words[start:end]]
        at = end
    return " ".join(inputs + words[at:]), " ".join([*targets, SENTINELS[2]])
