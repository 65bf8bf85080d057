"""Declarations of published datasets: where their records come from and how they become text.

Declarations need no TensorFlow; `prompt_tuning.data.tasks` registers them as SeqIO tasks.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prompt_tuning.data import postprocessors

Record = Mapping[str, Any]
"""A record of a source as plain values by field; `SPLIT` holds its split of the source."""

Example = dict[str, Any]
"""The texts `inputs` (without task prefix) and `targets`, and other fields that metrics need."""

SPLIT = "_split"

HELD_BACK = "leaderboard"
"""The split whose labels are not public."""

LEADERBOARD = f"_{HELD_BACK}"
UNPREFIXED = "_unprefixed"


class BadRecordError(ValueError):
    """Explains what is wrong with a record; the reader adds its location."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Declares a dataset in text-to-text form.

    Attributes:
        name: The SeqIO task.
        family: The collection it belongs to, such as "GLUE" or "MRQA".
        papers: The papers that use it, of "Lester", "SPoT" and "Su".
        tfds: The builder in TensorFlow Datasets, such as `glue/cola:2.0.0`, or None.
        folder: The folder in `DATA_DIR`; by default the builder's name, `glue_cola`.
        splits: Splits of the source by split of the task: "train", "validation" and, if its labels
            are public, "test". Several are joined. Empty for a diagnostic set.
        holdout: If the source has no validation split, every how many training records one goes to
            `validation`; otherwise 0.
        leaderboard: Splits of the source without public labels, for leaderboard files.
        sizes: The number of examples in each split of the task and in `HELD_BACK`, if known.
        fields: The fields that every record must have.
        format: Turns a record into examples: one, several, or none to leave it out.
        prefix: The task prefix, put before the inputs with a space, except in the unprefixed task.
        labels: The label words by class; empty for open answers.
        postprocess: Maps decoded text to what the metrics compare; by default the position among
            `labels`, or the text itself.
        metrics: Functions of (targets, predictions), or of (targets, scores) with
            log-likelihoods, whose values are 0 to 100.
        limits: The most examples to read of a split, if not all.
        streamed: Whether the training split is too large to hold and is read during training; each
            record is then one example.
        unlabeled: Whether `targets` is running text, to be cut in two for the prefix LM objective.
        obtain: Where to get the files of a dataset that TensorFlow Datasets cannot download.
        version: The version of its examples. Raise it when they change; caches are then rebuilt.
            Scoring is not part of it.
    """

    name: str
    family: str
    papers: tuple[str, ...]
    tfds: str | None
    folder: str = ""
    splits: Mapping[str, Sequence[str]]
    holdout: int = 0
    leaderboard: Sequence[str] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    fields: tuple[str, ...]
    format: Callable[[Record], Iterable[Example]]
    prefix: str = ""
    labels: tuple[str, ...] = ()
    postprocess: Callable[..., Any] | None = None
    metrics: tuple[Callable[..., dict[str, float]], ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    streamed: bool = False
    unlabeled: bool = False
    obtain: str = ""
    version: int = 1

    def __post_init__(self):
        if not self.folder:
            if self.tfds is None:
                raise ValueError(f"dataset {self.name} has neither a builder nor a folder")
            object.__setattr__(self, "folder", self.tfds.partition(":")[0].replace("/", "_"))
        if self.postprocess is None:
            object.__setattr__(self, "postprocess", self._default_postprocessor())

    @property
    def files(self) -> str:
        """Instructions on where to put which files with which fields."""
        splits = self.splits.values() or [self.leaderboard]
        names = dict.fromkeys(f"{name}.jsonl" for names in splits for name in names)
        optional = f" (or none, for one training record in {self.holdout})" if self.holdout else ""
        obtain = f" ({self.obtain})" if self.obtain else ""
        return (
            f"put {', '.join(names).replace('validation.jsonl', f'validation.jsonl{optional}')} "
            f"with the fields {', '.join(self.fields)} in DATA_DIR/{self.folder}{obtain}"
        )

    def _default_postprocessor(self) -> Callable[..., Any]:
        if self.labels:
            return functools.partial(postprocessors.label_index, labels=self.labels)
        return postprocessors.text


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Declares a mixture, examples-proportional with a cap (Vu et al. 2022, section 2.1).

    Attributes:
        name: The SeqIO mixture.
        papers: The papers that use it, of "Lester", "SPoT" and "Su".
        members: Names of datasets.
    """

    name: str
    papers: tuple[str, ...]
    members: tuple[str, ...]


def named_fields(record: Record, names: Sequence[str]) -> str:
    """Joins fields as T5 does: `premise: It rains. hypothesis: It is wet.`"""
    return " ".join(f"{name}: {text_field(record, name)}" for name in names)


def text_field(record: Record, name: str) -> str:
    """Returns a text field of a record.

    Raises:
        BadRecordError: The field is not text.
    """
    if not isinstance(record[name], str):
        raise BadRecordError(f"{name} is {record[name]!r}; it must be text")
    return record[name]


def classified(record: Record, *, names: Sequence[str], labels: Sequence[str]) -> Iterator[Example]:
    """Yields the example of a record with text fields and a `label`, in T5's format of GLUE."""
    yield {
        "inputs": named_fields(record, names),
        "targets": label_word(record, labels),
        "idx": record.get("idx", -1),
    }


def texts_field(record: Record, name: str) -> list[str]:
    """Returns a field of a record that is a list of texts.

    Raises:
        BadRecordError: The field is not a list of texts.
    """
    value = record[name]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadRecordError(f"{name} is {value!r}; it must be a list of texts")
    return value


def label_word(record: Record, labels: Sequence[str], name: str = "label") -> str:
    """Returns the label word of a record's class; an empty string for -1, a held-back label.

    Raises:
        BadRecordError: The class is not one of the labels.
    """
    value = record[name]
    if value == -1:
        return ""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(labels):
        raise BadRecordError(
            f"{name} is {value!r}; it must be 0 to {len(labels) - 1} ({', '.join(labels)})"
        )
    return labels[value]
