"""Natural language inference beyond GLUE and SuperGLUE: SNLI, ANLI and DocNLI."""

import functools
from collections.abc import Mapping

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.dataset import Dataset, Mixture, classified

_LABELS = ("entailment", "neutral", "contradiction")


def _inference(
    name: str,
    tfds: str,
    *,
    papers: tuple[str, ...] = ("SPoT",),
    premise: str = "premise",
    labels: tuple[str, ...] = _LABELS,
    sizes: Mapping[str, int],
) -> Dataset:
    """Declares a dataset of pairs; the hypothesis comes first, so that it is never cut off."""
    names = ("hypothesis", premise)
    return Dataset(
        name=name,
        family="NLI",
        papers=papers,
        tfds=tfds,
        splits={split: (split,) for split in ("train", "validation", "test")},
        sizes=sizes,
        fields=(*names, "label"),
        format=functools.partial(classified, names=names, labels=labels),
        prefix=name,
        labels=labels,
        metrics=(metrics.accuracy,),
    )


DATASETS = (
    _inference(
        "snli",
        "snli:1.1.0",
        papers=("SPoT", "Su"),
        sizes={"train": 549367, "validation": 9842, "test": 9824},
    ),
    _inference(
        "anli_r1",
        "anli/r1:0.1.0",
        premise="context",
        sizes={"train": 16946, "validation": 1000, "test": 1000},
    ),
    _inference(
        "anli_r2",
        "anli/r2:0.1.0",
        premise="context",
        sizes={"train": 45460, "validation": 1000, "test": 1000},
    ),
    _inference(
        "anli_r3",
        "anli/r3:0.1.0",
        premise="context",
        sizes={"train": 100459, "validation": 1200, "test": 1200},
    ),
    _inference(
        "doc_nli",
        "doc_nli:1.0.0",
        labels=("not_entailment", "entailment"),
        sizes={"train": 942314, "validation": 234258, "test": 267086},
    ),
)

_ANLI = ("anli_r1", "anli_r2", "anli_r3")

MIXTURES = (
    Mixture(name="anli", papers=("SPoT",), members=_ANLI),
    Mixture(
        name="spot_nli",
        papers=("SPoT",),
        members=(
            *_ANLI,
            "super_glue_cb",
            "doc_nli",
            "glue_mnli",
            "glue_qnli",
            "super_glue_rte",
            "snli",
        ),
    ),
)
