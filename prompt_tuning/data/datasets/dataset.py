"""What a published dataset is: where its rows come from, and how they become text.

Declarations are plain Python, so that listing them needs no TensorFlow; `prompt_tuning.data.tasks`
makes SeqIO tasks of them.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prompt_tuning.data import postprocessors

Row = Mapping[str, Any]
"""One row of a source as plain values, by field; `SPLIT` names the source's split it is from."""

Example = dict[str, Any]
"""`inputs` and `targets` (text, inputs without the task prefix), and fields that metrics need."""

SPLIT = "_split"

HELD_BACK = "leaderboard"
"""The split of a dataset whose labels are not public."""

LEADERBOARD = f"_{HELD_BACK}"
UNPREFIXED = "_unprefixed"


class BadRowError(ValueError):
    """Says what is wrong with a row; who reads it adds where it stands."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Declares a dataset in text-to-text form.

    Attributes:
        name: The SeqIO task.
        family: What it belongs to, such as "GLUE" or "MRQA".
        papers: Those of "Lester", "SPoT" and "Su" that use it.
        tfds: The builder in TensorFlow Datasets, `glue/cola:2.0.0`; None where there is none.
        folder: The folder in `DATA_DIR`; by default the builder's name, `glue_cola`.
        splits: Splits of the source by split of the task: "train", "validation" and, where its
            labels are public, "test". Several are joined. None for a diagnostic set.
        holdout: Of how many training rows one is put into `validation`, where the source has no
            such split; 0 where it has one.
        leaderboard: Splits of the source that have no public labels, for leaderboard files.
        sizes: Examples of each split of the task, and of `HELD_BACK`, where known.
        fields: The fields that every row must have.
        format: Turns a row into examples: none for a row to be left out, or several.
        prefix: Stands before the inputs with a space; the unprefixed task leaves it out.
        labels: The label words by class; empty where answers are open.
        postprocess: Turns decoded text into what the metrics compare; by default the position
            among `labels`, or the text.
        metrics: Of (targets, predictions), or of (targets, scores) with log-likelihoods, 0 to 100.
        limits: The most examples read of a split, where that is not all.
        streamed: Whether the training split is too large to hold, and is read while it is trained
            on; each row gives one example then.
        unlabelled: Whether `targets` is running text, to be cut in two for the prefix LM objective.
        obtain: Where to get the files, for a dataset that TensorFlow Datasets cannot download.
        version: Of the examples it gives. Raise it where they change, and they are tokenized again;
            how answers are scored is no part of it.
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
    format: Callable[[Row], Iterable[Example]]
    prefix: str = ""
    labels: tuple[str, ...] = ()
    postprocess: Callable[..., Any] | None = None
    metrics: tuple[Callable[..., dict[str, float]], ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    streamed: bool = False
    unlabelled: bool = False
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
        """Where the files of the dataset have to be, and what they hold."""
        splits = self.splits.values() or [self.leaderboard]
        names = dict.fromkeys(f"{name}.jsonl" for names in splits for name in names)
        optional = f" (or none, for one training row in {self.holdout})" if self.holdout else ""
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
        papers: Those of "Lester", "SPoT" and "Su" that use it.
        members: Names of datasets.
    """

    name: str
    papers: tuple[str, ...]
    members: tuple[str, ...]


def named_fields(row: Row, names: Sequence[str]) -> str:
    """Returns fields as T5 writes them: `premise: It rains. hypothesis: It is wet.`"""
    return " ".join(f"{name}: {text_field(row, name)}" for name in names)


def text_field(row: Row, name: str) -> str:
    """Returns a field of a row that must be text.

    Raises:
        BadRowError: It is something else.
    """
    if not isinstance(row[name], str):
        raise BadRowError(f"{name} is {row[name]!r}; it must be text")
    return row[name]


def classified(row: Row, *, names: Sequence[str], labels: Sequence[str]) -> Iterator[Example]:
    """Yields the example of a row with named text fields and a `label`: T5's form of GLUE."""
    yield {
        "inputs": named_fields(row, names),
        "targets": label_word(row, labels),
        "idx": row.get("idx", -1),
    }


def texts_field(row: Row, name: str) -> list[str]:
    """Returns a field of a row that must be a list of texts.

    Raises:
        BadRowError: It is something else.
    """
    value = row[name]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadRowError(f"{name} is {value!r}; it must be a list of texts")
    return value


def label_word(row: Row, labels: Sequence[str], name: str = "label") -> str:
    """Returns the word of a row's class; an empty string for -1, a label that is held back.

    Raises:
        BadRowError: The class is not one of the labels.
    """
    value = row[name]
    if value == -1:
        return ""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(labels):
        raise BadRowError(
            f"{name} is {value!r}; it must be 0 to {len(labels) - 1} ({', '.join(labels)})"
        )
    return labels[value]
