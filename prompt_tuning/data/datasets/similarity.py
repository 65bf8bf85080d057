"""Sentence pairs rated for similarity: CxC, and the format that STS-B shares with it."""

import functools
from collections.abc import Iterator

from prompt_tuning.data import metrics, postprocessors
from prompt_tuning.data.datasets.dataset import (
    SPLIT,
    BadRecordError,
    Dataset,
    Example,
    Mixture,
    Record,
    named_fields,
)

SENTENCES = ("sentence1", "sentence2")


def rated(record: Record, *, training: str) -> Iterator[Example]:
    """Yields a pair rated 0 to 5, in T5's format of STS-B (Raffel et al. 2020, section 2.4).

    The target is rounded to 0.2 in training only; in evaluation it is the rating itself.

    Args:
        record: A record with two sentences and a `label`.
        training: The split of the source used for training.
    """
    label = record["label"]
    if isinstance(label, bool) or not isinstance(label, int | float):
        raise BadRecordError(f"label is {label!r}; it must be a number, 0 to 5")
    if label != -1 and not 0 <= label <= 5:
        raise BadRecordError(f"label is {label!r}; it must be 0 to 5")
    label = round(label, 4)  # undoes float32: 5 times 4.1 would not be exactly halfway
    if record[SPLIT] == training:
        target = f"{round(5 * label) / 5:.1f}"
    else:
        target = "" if label == -1 else f"{label:g}"
    inputs = named_fields(record, SENTENCES)
    yield {"inputs": inputs, "targets": target, "idx": record.get("idx", -1)}


DATASETS = (
    Dataset(
        name="cxc_sts",
        family="Similarity",
        papers=("SPoT",),
        tfds=None,
        folder="cxc_sts",
        # Only evaluation sets are rated, so one of the two serves for training.
        splits={"train": ("validation",), "validation": ("test",)},
        sizes={"train": 44009, "validation": 44045},
        fields=(*SENTENCES, "label"),
        format=functools.partial(rated, training="validation"),
        prefix="cxc",
        postprocess=postprocessors.number,
        metrics=(metrics.pearson, metrics.spearman),
        obtain="ratings sts_val.csv and sts_test.csv of Crisscrossed Captions, "
        "github.com/google-research-datasets/Crisscrossed-Captions, whose captions are in the "
        "annotations of MS-COCO val2014; the label is agg_score",
    ),
)

MIXTURES = (
    Mixture(
        name="spot_paraphrase",
        papers=("SPoT",),
        members=("cxc_sts", "glue_mrpc", "glue_qqp", "glue_stsb"),
    ),
)
