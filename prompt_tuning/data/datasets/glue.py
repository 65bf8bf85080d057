"""GLUE (Wang et al. 2019a) in the text-to-text format of Raffel et al. (2020)."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from prompt_tuning.data import group_metrics, metrics, postprocessors
from prompt_tuning.data.datasets.dataset import (
    SPLIT,
    Dataset,
    Example,
    Mixture,
    Record,
    classified,
)
from prompt_tuning.data.datasets.similarity import SENTENCES, rated

_SPLITS = {"train": ("train",), "validation": ("validation",)}
_EVALUATION_ONLY: dict[str, Any] = {
    "splits": {"validation": ("validation",)},
    "leaderboard": (),
}
_QUESTIONS = ("question1", "question2")
_MRPC_LABELS = ("not_equivalent", "equivalent")
_QQP_LABELS = ("not_duplicate", "duplicate")
_ENTAILMENT = ("entailment", "not_entailment")
_MNLI_LABELS = ("entailment", "neutral", "contradiction")


def _mnli(record: Record) -> Iterator[Example]:
    """Yields a pair with its half of the evaluation data: matched or mismatched genres."""
    (example,) = classified(record, names=("hypothesis", "premise"), labels=_MNLI_LABELS)
    yield {**example, "half": record[SPLIT].partition("_")[2]}


def _glue(
    config: str,
    *,
    papers: tuple[str, ...],
    names: tuple[str, ...],
    labels: tuple[str, ...],
    sizes: Mapping[str, int],
    **others: Any,
) -> Dataset:
    """Declares a task of named text fields; `others` override the attributes of most tasks."""
    most: dict[str, Any] = {
        "name": f"glue_{config}",
        "splits": _SPLITS,
        "leaderboard": ("test",),
        "format": functools.partial(classified, names=names, labels=labels),
        "prefix": config,
        "metrics": (metrics.accuracy,),
    }
    return Dataset(
        family="GLUE",
        papers=papers,
        tfds=f"glue/{config}:2.0.0",
        fields=(*names, "label"),
        labels=labels,
        sizes=sizes,
        **most | others,
    )


DATASETS = (
    _glue(
        "cola",
        papers=("SPoT",),
        names=("sentence",),
        labels=("unacceptable", "acceptable"),
        sizes={"train": 8551, "validation": 1043, "leaderboard": 1063},
        metrics=(metrics.matthews,),
    ),
    _glue(
        "sst2",
        papers=("SPoT", "Su"),
        names=("sentence",),
        labels=("negative", "positive"),
        sizes={"train": 67349, "validation": 872, "leaderboard": 1821},
    ),
    _glue(
        "mrpc",
        papers=("Lester", "SPoT", "Su"),
        names=SENTENCES,
        labels=_MRPC_LABELS,
        sizes={"train": 3668, "validation": 408, "leaderboard": 1725},
        metrics=(metrics.f1, metrics.accuracy),
    ),
    _glue(
        "stsb",
        papers=("SPoT",),
        names=SENTENCES,
        labels=(),
        sizes={"train": 5749, "validation": 1500, "leaderboard": 1379},
        format=functools.partial(rated, training="train"),
        postprocess=postprocessors.number,
        metrics=(metrics.pearson, metrics.spearman),
    ),
    _glue(
        "qqp",
        papers=("Lester", "SPoT", "Su"),
        names=_QUESTIONS,
        labels=_QQP_LABELS,
        sizes={"train": 363846, "validation": 40430, "leaderboard": 390965},
        metrics=(metrics.f1, metrics.accuracy),
    ),
    _glue(
        "mnli",
        papers=("SPoT", "Su"),
        names=("hypothesis", "premise"),
        labels=_MNLI_LABELS,
        sizes={"train": 392702, "validation": 19647, "leaderboard": 19643},
        splits={"train": ("train",), "validation": ("validation_matched", "validation_mismatched")},
        leaderboard=("test_matched", "test_mismatched"),
        format=_mnli,
        postprocess=functools.partial(
            postprocessors.grouped_label_index, labels=_MNLI_LABELS, group=("half",)
        ),
        metrics=(group_metrics.accuracy_by_group,),
    ),
    _glue(
        "qnli",
        papers=("SPoT", "Su"),
        names=("question", "sentence"),
        labels=_ENTAILMENT,
        sizes={"train": 104743, "validation": 5463, "leaderboard": 5463},
    ),
    _glue(
        "rte",
        papers=("SPoT",),
        names=SENTENCES,
        labels=_ENTAILMENT,
        sizes={"train": 2490, "validation": 277, "leaderboard": 3000},
    ),
    # Domain shift (Lester et al. 2021, section 5): the label words are those of the source task.
    _glue(
        "mrpc",
        name="glue_mrpc_from_qqp",
        papers=("Lester",),
        names=SENTENCES,
        labels=_QQP_LABELS,
        sizes={"validation": 408},
        metrics=(metrics.f1, metrics.accuracy),
        **_EVALUATION_ONLY,
    ),
    _glue(
        "qqp",
        name="glue_qqp_from_mrpc",
        papers=("Lester",),
        names=_QUESTIONS,
        labels=_MRPC_LABELS,
        sizes={"validation": 40430},
        metrics=(metrics.f1, metrics.accuracy),
        **_EVALUATION_ONLY,
    ),
    _glue(
        "wnli",
        papers=(),
        names=SENTENCES,
        labels=("not_entailment", "entailment"),
        sizes={"train": 635, "validation": 71, "leaderboard": 146},
    ),
    _glue(
        "ax",
        papers=("SPoT",),
        names=("hypothesis", "premise"),
        labels=_MNLI_LABELS,
        sizes={"leaderboard": 1104},
        splits={},
        prefix="mnli",
    ),
)

_MEMBERS = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")  # WNLI is left out

MIXTURES = (
    Mixture(name="glue", papers=("SPoT",), members=tuple(f"glue_{task}" for task in _MEMBERS)),
)
