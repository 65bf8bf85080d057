"""The mini suite: 16 source tasks and 10 target tasks in the families of the SPoT study.

Tasks are drawn from seeded grammars, so their examples are the same on every machine. They answer
with label words, and show their texts in layouts, that pre-training text never has for their
skill; some of their words and one sentence template occur nowhere in pre-training text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.declarations import CAP, Declaration
from prompt_tuning.mini import labels as words_for
from prompt_tuning.mini import skills
from prompt_tuning.mini.draw import Draw
from prompt_tuning.mini.facts import SUITE_STATEMENTS
from prompt_tuning.mini.layouts import Layout, laid_out
from prompt_tuning.mini.lexicon import CORPUS_WORDS, SENSES, SUITE_WORDS
from prompt_tuning.types import UserError

Example = dict[str, str | int]

VERSION = 1
"""Of all examples of the suite. Raise it where any change, and they are tokenized again."""

_METRICS: Mapping[str, Callable[..., dict[str, float]]] = {
    "accuracy": metrics.accuracy,
    "f1": functools.partial(metrics.f1, positive=0),  # class 0 is the affirmative one
    "matthews": metrics.matthews,
    "token_f1": metrics.token_f1,
}
_SEED = 20
_SOURCE_SIZES = MappingProxyType({"train": 2000, "validation": 128, "test": 256})
_TARGET_SIZES = MappingProxyType({"train": 32, "validation": 128, "test": 256})
_SPLITS = ("test", "validation", "train")


@dataclass(frozen=True)
class MiniTask:
    """Describes a task and draws its examples.

    Attributes:
        name: `mini_` and the name of the task of the SPoT study that it stands for.
        family: The kind of language skill it tests.
        role: "source" (data-rich) or "target" (low-resource).
        source: For a target, the source task it starts from by default: the one of its family,
            fixed beforehand. None for a source.
        labels: The label words by class; empty where the answer is open.
        metric: "accuracy", "f1", "matthews" or "token_f1".
        chance: The score of guessing, 0-100 in units of the metric.
        sizes: Examples of each split.
        skill: What is asked.
        layout: The words that introduce the texts.
    """

    name: str
    family: str
    role: str
    source: str | None
    labels: tuple[str, ...]
    metric: str
    chance: float
    sizes: Mapping[str, int]
    skill: skills.Skill
    layout: Layout

    @property
    def metric_function(self) -> Callable[..., dict[str, float]]:
        """The metric."""
        return _METRICS[self.metric]

    @property
    def postprocessor(self) -> Callable[..., Any]:
        """What turns decoded text into what the metric compares: the class, or the text."""
        if self.labels:
            return functools.partial(postprocessors.label_index, labels=self.labels)
        return postprocessors.text

    def examples(self, split: str) -> list[Example]:
        """Returns the examples of a split, each with `inputs`, `targets` and, if any, `label`.

        Raises:
            UserError: If there is no such split.
        """
        if split not in self.sizes:
            raise UserError(
                f"task {self.name} has no split {split!r}; use one of {', '.join(self.sizes)}"
            )
        return [dict(example) for example in _examples(self.name)[split]]


@functools.cache
def _examples(name: str) -> dict[str, list[Example]]:
    """Draws all splits of a task; no input occurs twice, and classes are balanced."""
    task = SUITE[name]
    words = SUITE_WORDS if task.labels else CORPUS_WORDS  # a held-out word cannot be an answer
    seen: set[str] = set()
    splits = {}
    for split in _SPLITS:
        draw = Draw(_SEED, name, split)
        rows: list[Example] = []
        while len(rows) < task.sizes[split]:
            item = task.skill(draw, words, SUITE_STATEMENTS, 3)
            inputs = laid_out(task.layout, item.parts)
            wanted = len(rows) % len(task.labels) if task.labels else item.answer
            if item.answer != wanted or inputs in seen:
                continue
            seen.add(inputs)
            if isinstance(item.answer, int):
                label = item.answer
                rows.append({"inputs": inputs, "targets": task.labels[label], "label": label})
            else:
                rows.append({"inputs": inputs, "targets": item.answer})
        splits[split] = draw.shuffled(rows)
    return splits


def _source(
    name: str, family: str, skill: skills.Skill, layout: Layout, labels: tuple[str, ...] = (), **kw
) -> MiniTask:
    metric = kw.pop("metric", "accuracy")
    chance = kw.pop("chance", 100 / len(labels) if labels else 0.0)
    return MiniTask(
        name, family, "source", None, labels, metric, chance, _SOURCE_SIZES, skill, layout
    )


def _target(
    name: str,
    family: str,
    source: str,
    skill: skills.Skill,
    layout: Layout,
    labels: tuple[str, ...],
    **kw,
) -> MiniTask:
    metric = kw.pop("metric", "accuracy")
    chance = kw.pop("chance", 100 / len(labels))
    return MiniTask(
        name, family, "target", source, labels, metric, chance, _TARGET_SIZES, skill, layout
    )


_SENSE_WORDS = tuple(SENSES)

_TASKS = (
    _source("mini_text", "text", skills.story, ("",), metric="token_f1"),
    _source(
        "mini_docnli",
        "inference",
        skills.inference,
        ("premise :", "hypothesis :"),
        words_for.TRUE,
    ),
    _source(
        "mini_yelp", "sentiment", skills.sentiment(("meal", "hotel")), ("review :",), words_for.PLUS
    ),
    _source(
        "mini_mnli", "inference", skills.inference3, ("premise :", "hypothesis :"), words_for.TRUE3
    ),
    _source(
        "mini_qqp", "paraphrase", skills.paraphrase, ("question :", "question :"), words_for.YES
    ),
    _source(
        "mini_qnli", "inference", skills.answerable, ("question :", "sentence :"), words_for.RIGHT
    ),
    _source("mini_record", "question answering", skills.cloze, ("passage :", "query :")),
    _source(
        "mini_cxc", "similarity", skills.similarity, ("sentence :", "sentence :"), words_for.HIGH3
    ),
    _source(
        "mini_squad",
        "question answering",
        skills.extraction,
        ("question :", "context :"),
    ),
    _source("mini_drop", "question answering", skills.counting, ("question :", "passage :")),
    _source("mini_sst2", "sentiment", skills.sentiment(("film",)), ("sentence :",), words_for.UP),
    _source(
        "mini_winogrande",
        "coreference",
        skills.reference_claim,
        ("sentence :", "option :"),
        words_for.TRUE,
    ),
    _source(
        "mini_hellaswag",
        "commonsense",
        skills.continuation,
        ("story :", "ending :", "ending :"),
        words_for.ONE,
    ),
    _source(
        "mini_multirc",
        "question answering",
        skills.candidate,
        ("passage :", "question :", "answer :"),
        words_for.TRUE,
    ),
    _source("mini_blimp", "acceptability", skills.acceptability, ("line :",), words_for.RIGHT),
    _source(
        "mini_senses",
        "word sense",
        skills.senses(_SENSE_WORDS[:6]),
        ("word :", "sentence :", "sentence :"),
        words_for.YES,
    ),
    _target(
        "mini_boolq",
        "question answering",
        "mini_multirc",
        skills.verification,
        ("passage :", "question :"),
        words_for.YES,
    ),
    _target(
        "mini_cola",
        "acceptability",
        "mini_blimp",
        skills.acceptability,
        ("sentence :",),
        words_for.RIGHT,
        metric="matthews",
        chance=0.0,
    ),
    _target(
        "mini_stsb",
        "similarity",
        "mini_cxc",
        skills.similarity,
        ("text :", "text :"),
        words_for.HIGH3,
    ),
    _target(
        "mini_wic",
        "word sense",
        "mini_senses",
        skills.senses(_SENSE_WORDS[6:]),
        ("sense :", "text :", "text :"),
        words_for.YES,
    ),
    _target(
        "mini_cr",
        "sentiment",
        "mini_yelp",
        skills.sentiment(("phone",)),
        ("comment :",),
        words_for.TRUE,
    ),
    _target(
        "mini_mrpc",
        "paraphrase",
        "mini_qqp",
        skills.paraphrase,
        ("sentence :", "sentence :"),
        words_for.RIGHT,
        metric="f1",
    ),
    _target(
        "mini_rte",
        "inference",
        "mini_docnli",
        skills.inference,
        ("text :", "hypothesis :"),
        words_for.TRUE,
    ),
    _target(
        "mini_wsc",
        "coreference",
        "mini_winogrande",
        skills.reference_claim,
        ("text :", "pronoun :"),
        words_for.YES,
    ),
    _target(
        "mini_copa",
        "commonsense",
        "mini_hellaswag",
        skills.causation,
        ("premise :", "choice :", "choice :"),
        words_for.FIRST,
    ),
    _target(
        "mini_cb",
        "inference",
        "mini_mnli",
        skills.inference3,
        ("text :", "hypothesis :"),
        words_for.TRUE3,
    ),
)

SUITE: dict[str, MiniTask] = {task.name: task for task in _TASKS}
SOURCES = tuple(task.name for task in _TASKS if task.role == "source")
TARGETS = tuple(task.name for task in _TASKS if task.role == "target")


def _source_mixtures() -> dict[str, tuple[str, ...]]:
    families: dict[str, tuple[str, ...]] = {}
    for name in SOURCES:
        family = SUITE[name].family
        families[family] = (*families.get(family, ()), name)
    return {
        f"mini_{family.replace(' ', '_')}_sources": members
        for family, members in families.items()
        if len(members) > 1
    }


MIXTURES: Mapping[str, tuple[str, ...]] = {"mini_sources": SOURCES, **_source_mixtures()}


def declared(name: str) -> Declaration | None:
    """Returns what is declared of a task or mixture of the suite; None for another."""
    if name in SUITE:
        return Declaration(str(VERSION), [SUITE[name].metric_function], SUITE[name].postprocessor)
    if name in MIXTURES:
        return Declaration(f"{CAP}: {', '.join(MIXTURES[name])}")
    return None
