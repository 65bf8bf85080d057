"""Draws the examples of the suite's tasks from seeded grammars, the same on every machine.

Tasks show their texts in layouts that pre-training text never has for their skill. Some of their
words, and one of their sentence templates, occur nowhere in pre-training text.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from prompt_tuning.mini import skills
from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.facts import SUITE_STATEMENTS
from prompt_tuning.mini.layouts import Layout, laid_out
from prompt_tuning.mini.lexicon import CORPUS_WORDS, SENSES, SUITE_WORDS
from prompt_tuning.mini.suite import SUITE
from prompt_tuning.types import UserError

Example = dict[str, str | int]

_SEED = 20
_SPLITS = ("test", "validation", "train")
_SENSE_WORDS = tuple(SENSES)


class Grammar(NamedTuple):
    """Defines the text of a task.

    Attributes:
        skill: Draws the texts of an example and their answer.
        layout: The words that introduce each text.
    """

    skill: skills.Skill
    layout: Layout


GRAMMARS: Mapping[str, Grammar] = {
    "mini_text": Grammar(skills.story, ("",)),
    "mini_docnli": Grammar(skills.inference, ("premise :", "hypothesis :")),
    "mini_yelp": Grammar(skills.sentiment(("meal", "hotel")), ("review :",)),
    "mini_mnli": Grammar(skills.inference3, ("premise :", "hypothesis :")),
    "mini_qqp": Grammar(skills.paraphrase, ("question :", "question :")),
    "mini_qnli": Grammar(skills.answerable, ("question :", "sentence :")),
    "mini_record": Grammar(skills.cloze, ("passage :", "query :")),
    "mini_cxc": Grammar(skills.similarity, ("sentence :", "sentence :")),
    "mini_squad": Grammar(skills.extraction, ("question :", "context :")),
    "mini_drop": Grammar(skills.counting, ("question :", "passage :")),
    "mini_sst2": Grammar(skills.sentiment(("film",)), ("sentence :",)),
    "mini_winogrande": Grammar(skills.reference_claim, ("sentence :", "option :")),
    "mini_hellaswag": Grammar(skills.continuation, ("story :", "ending :", "ending :")),
    "mini_multirc": Grammar(skills.candidate, ("passage :", "question :", "answer :")),
    "mini_blimp": Grammar(skills.acceptability, ("line :",)),
    "mini_senses": Grammar(skills.senses(_SENSE_WORDS[:6]), ("word :", "sentence :", "sentence :")),
    "mini_boolq": Grammar(skills.verification, ("passage :", "question :")),
    "mini_cola": Grammar(skills.acceptability, ("sentence :",)),
    "mini_stsb": Grammar(skills.similarity, ("text :", "text :")),
    "mini_wic": Grammar(skills.senses(_SENSE_WORDS[6:]), ("sense :", "text :", "text :")),
    "mini_cr": Grammar(skills.sentiment(("phone",)), ("comment :",)),
    "mini_mrpc": Grammar(skills.paraphrase, ("sentence :", "sentence :")),
    "mini_rte": Grammar(skills.inference, ("text :", "hypothesis :")),
    "mini_wsc": Grammar(skills.reference_claim, ("text :", "pronoun :")),
    "mini_copa": Grammar(skills.causation, ("premise :", "choice :", "choice :")),
    "mini_cb": Grammar(skills.inference3, ("text :", "hypothesis :")),
}
"""The grammar of each task of the suite."""


def draw_examples(name: str, split: str) -> list[Example]:
    """Returns the examples of a split of a task, with `inputs`, `targets` and, if any, `label`.

    Raises:
        UserError: The task has no such split.
    """
    sizes = SUITE[name].sizes
    if split not in sizes:
        raise UserError(f"task {name} has no split {split!r}; use one of {', '.join(sizes)}")
    return [dict(example) for example in _draw_splits(name)[split]]


@functools.cache
def _draw_splits(name: str) -> dict[str, list[Example]]:
    """Draws all splits of a task; no input occurs twice, and classes are balanced."""
    task, grammar = SUITE[name], GRAMMARS[name]
    words = SUITE_WORDS if task.labels else CORPUS_WORDS  # a held-out word cannot be an answer
    seen: set[str] = set()
    splits = {}
    for split in _SPLITS:
        draw = Draw(_SEED, name, split)
        examples: list[Example] = []
        while len(examples) < task.sizes[split]:
            item = grammar.skill(draw, words, SUITE_STATEMENTS, 3)
            inputs = laid_out(grammar.layout, item.parts)
            wanted = len(examples) % len(task.labels) if task.labels else item.answer
            if item.answer != wanted or inputs in seen:
                continue
            seen.add(inputs)
            example: Example = {"inputs": inputs}
            if isinstance(item.answer, int):
                example |= {"targets": task.labels[item.answer], "label": item.answer}
            else:
                example["targets"] = item.answer
            examples.append(example)
        splits[split] = draw.shuffled(examples)
    return splits
