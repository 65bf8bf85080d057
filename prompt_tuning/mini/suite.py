"""The mini suite: 16 source tasks and 10 target tasks in the families of the SPoT study.

This module declares the tasks; `prompt_tuning.mini.examples` draws their text, which is needed only
when a task is tokenized. Each task answers with label words held out from pre-training text for its
skill (`prompt_tuning.mini.labels`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.declarations import CAP, Declaration

VERSION = 1
"""The version of all examples of the suite. Raise it when any change; caches are then rebuilt."""

_METRICS: Mapping[str, Callable[..., dict[str, float]]] = {
    "accuracy": metrics.accuracy,
    "f1": functools.partial(metrics.f1, positive=0),  # class 0 is the affirmative one
    "matthews": metrics.matthews,
    "token_f1": metrics.token_f1,
}
_SOURCE_SIZES = MappingProxyType({"train": 2000, "validation": 128, "test": 256})
_TARGET_SIZES = MappingProxyType({"train": 32, "validation": 128, "test": 256})


@dataclass(frozen=True)
class MiniTask:
    """Declares a task of the suite.

    Attributes:
        name: `mini_` and the name of the SPoT task that it stands in for.
        family: The language skill it tests.
        labels: The label words by class; empty for open answers.
        source: For a target task, the source task that it starts from by default, of its own
            family and fixed beforehand. None for a source task.
        metric: "accuracy", "f1", "matthews" or "token_f1".
    """

    name: str
    family: str
    labels: tuple[str, ...] = ()
    source: str | None = None
    metric: str = "accuracy"

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of examples in each split: source tasks are data-rich, targets are not."""
        return _SOURCE_SIZES if self.source is None else _TARGET_SIZES

    @property
    def metric_function(self) -> Callable[..., dict[str, float]]:
        """The metric."""
        return _METRICS[self.metric]

    @property
    def postprocessor(self) -> Callable[..., Any]:
        """Maps decoded text to what the metric compares: the class, or the text itself."""
        if self.labels:
            return functools.partial(postprocessors.label_index, labels=self.labels)
        return postprocessors.text


_TASKS = (
    MiniTask("mini_text", "text", metric="token_f1"),
    MiniTask("mini_docnli", "inference", ("true", "false")),
    MiniTask("mini_yelp", "sentiment", ("plus", "minus")),
    MiniTask("mini_mnli", "inference", ("true", "unknown", "false")),
    MiniTask("mini_qqp", "paraphrase", ("yes", "no")),
    MiniTask("mini_qnli", "inference", ("right", "wrong")),
    MiniTask("mini_record", "question answering"),
    MiniTask("mini_cxc", "similarity", ("high", "middle", "low")),
    MiniTask("mini_squad", "question answering"),
    MiniTask("mini_drop", "question answering"),
    MiniTask("mini_sst2", "sentiment", ("up", "down")),
    MiniTask("mini_winogrande", "coreference", ("true", "false")),
    MiniTask("mini_hellaswag", "commonsense", ("one", "two")),
    MiniTask("mini_multirc", "question answering", ("true", "false")),
    MiniTask("mini_blimp", "acceptability", ("right", "wrong")),
    MiniTask("mini_senses", "word sense", ("yes", "no")),
    MiniTask("mini_boolq", "question answering", ("yes", "no"), source="mini_multirc"),
    MiniTask(
        "mini_cola", "acceptability", ("right", "wrong"), source="mini_blimp", metric="matthews"
    ),
    MiniTask("mini_stsb", "similarity", ("high", "middle", "low"), source="mini_cxc"),
    MiniTask("mini_wic", "word sense", ("yes", "no"), source="mini_senses"),
    MiniTask("mini_cr", "sentiment", ("true", "false"), source="mini_yelp"),
    MiniTask("mini_mrpc", "paraphrase", ("right", "wrong"), source="mini_qqp", metric="f1"),
    MiniTask("mini_rte", "inference", ("true", "false"), source="mini_docnli"),
    MiniTask("mini_wsc", "coreference", ("yes", "no"), source="mini_winogrande"),
    MiniTask("mini_copa", "commonsense", ("first", "second"), source="mini_hellaswag"),
    MiniTask("mini_cb", "inference", ("true", "unknown", "false"), source="mini_mnli"),
)

SUITE: Mapping[str, MiniTask] = {task.name: task for task in _TASKS}
SOURCES = tuple(task.name for task in _TASKS if task.source is None)
TARGETS = tuple(task.name for task in _TASKS if task.source is not None)


def _source_mixtures() -> dict[str, tuple[str, ...]]:
    """Returns a mixture of the source tasks of each family that has several."""
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
    """Returns the declaration of a task or mixture of the suite, or None for any other name."""
    if name in SUITE:
        return Declaration(str(VERSION), [SUITE[name].metric_function], SUITE[name].postprocessor)
    if name in MIXTURES:
        return Declaration(f"{CAP}: {', '.join(MIXTURES[name])}")
    return None
