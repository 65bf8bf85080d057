"""Tokenized tasks and mixtures as plain arrays."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning.data import postprocessors, ragged, references
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError, nearest

Fields = Mapping[str, Any]
"""The fields of an example other than its tokens, such as its text, label and answers."""


@dataclass(frozen=True, eq=False)
class CachedSplit:
    """The tokenized examples of a split, in the order of the task.

    Attributes:
        inputs: Token ids of the inputs, ending in 1 (end of sequence).
        targets: Token ids of the targets, ending in 1.
        fields_file: JSON lines with the other fields of each example. Training splits have none.
        fields_in_memory: The other fields, for a split that is not cached on disk.
    """

    inputs: Ragged
    targets: Ragged
    fields_file: Path | None = None
    fields_in_memory: Sequence[Fields] | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def has_fields(self) -> bool:
        """Whether the split has the fields that scoring needs."""
        return self.fields_file is not None or self.fields_in_memory is not None

    @cached_property
    def fields(self) -> Sequence[Fields]:
        """The other fields of each example; `targets_pretokenized` is the text of its target."""
        if self.fields_in_memory is not None:
            return self.fields_in_memory
        if self.fields_file is None:
            raise UserError("training splits keep tokens alone; use an evaluation split's fields")
        with self.fields_file.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    @property
    def target_texts(self) -> list[str]:
        """The text of each example's target."""
        return [fields["targets_pretokenized"] for fields in self.fields]


class Block(NamedTuple):
    """Consecutive examples of a split.

    Attributes:
        inputs: Token ids of the inputs.
        targets: Token ids of the targets.
    """

    inputs: Ragged
    targets: Ragged


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """A training split that is too large to hold and is read during training.

    Attributes:
        task: The task of a published dataset.
        vocabulary: Tokenizes it.
        lengths: The most tokens kept, by feature.
        data_dir: Directory of published datasets as JSON lines, or None.
        tfds_data_dir: Data directory of TensorFlow Datasets, or None for its default.
    """

    task: str
    vocabulary: Vocabulary
    lengths: Mapping[str, int]
    data_dir: str | None = None
    tfds_data_dir: str | None = None

    def request(self, seed: int, start: int) -> dict[str, Any]:
        """Returns the request to the process that tokenizes examples from number `start` on."""
        return {
            "task": self.task,
            "vocabulary": str(self.vocabulary.path),
            "extra_ids": self.vocabulary.extra_ids,
            "lengths": dict(self.lengths),
            "data_dir": self.data_dir,
            "tfds_data_dir": self.tfds_data_dir,
            "seed": seed,
            "start": start,
        }


@dataclass(frozen=True, eq=False)
class CachedTask:
    """A tokenized task.

    Attributes:
        name: The SeqIO task.
        digest: SHA-256 of its tokens and scoring.
        splits: Its splits by name.
        labels: The label words by class; empty for open answers.
        metric_functions: References to its metrics.
        postprocessor: Reference to its postprocessor, if it has one.
        lengths: The most tokens kept, by feature.
        target_prefix: Text that all targets begin with, and that is not part of the answers.
        stream: Its training split, if that is too large to be among `splits`.
        template: The `TaskFile.template` that wrote the columns of a user's file into inputs; None
            for any other task.
    """

    name: str
    digest: str
    splits: Mapping[str, CachedSplit]
    labels: tuple[str, ...]
    metric_functions: tuple[references.Reference, ...]
    postprocessor: references.Reference | None
    lengths: Mapping[str, int]
    target_prefix: str = ""
    stream: StreamedSplit | None = None
    template: str | None = None

    @property
    def training(self) -> CachedSplit | StreamedSplit:
        """The training split.

        Raises:
            UserError: The task has none.
        """
        return self.split("train") if self.stream is None else self.stream

    @property
    def parts(self) -> tuple[tuple["CachedTask", float], ...]:
        """The task itself with rate 1, as the only part of a mixture."""
        return ((self, 1.0),)

    @property
    def tasks(self) -> tuple["CachedTask", ...]:
        """The tasks of `parts`."""
        return (self,)

    @property
    def choices(self) -> tuple[str, ...]:
        """The target text of each label: the label word after the target prefix, if any."""
        if not self.target_prefix:
            return self.labels
        return tuple(f"{self.target_prefix} {label}" for label in self.labels)

    @property
    def reads_answers(self) -> bool:
        """Whether a metric compares predicted texts."""
        return any(not _of_scores(reference) for reference in self.metric_functions)

    @property
    def reads_scores(self) -> bool:
        """Whether a metric uses the log-likelihoods of the targets."""
        return any(map(_of_scores, self.metric_functions))

    @property
    def scored_split(self) -> str:
        """The split for final scores: `test`, or `validation` if test labels are not public."""
        return "test" if "test" in self.splits else "validation"

    def split(self, name: str) -> CachedSplit:
        """Returns a split.

        Raises:
            UserError: The task has no such split.
        """
        if name not in self.splits:
            raise UserError(
                f"task {self.name} has no split {name!r}{nearest(name, self.splits)}; "
                f"it has {', '.join(self.splits)}"
            )
        return self.splits[name]

    def check_trainable(self) -> None:
        """Checks that the task can be trained on, not only scored.

        Raises:
            UserError: It has no training or no validation split.
        """
        available = {*self.splits, *(["train"] if self.stream is not None else [])}
        for name in ("train", "validation"):
            if name not in available:
                raise UserError(
                    f"task {self.name} cannot be trained on: it has no split {name!r}, "
                    f"only {', '.join(self.splits)}; name another, or score it with eval"
                )

    def metrics(
        self,
        targets: Sequence[str],
        predictions: Sequence[str],
        examples: Sequence[Fields] | None = None,
        scores: Sequence[float] | None = None,
    ) -> dict[str, float]:
        """Scores predicted texts against target texts as a SeqIO evaluator would.

        Args:
            targets: The text of each target (`CachedSplit.target_texts`).
            predictions: The text predicted for each example; ignored unless a metric
                `reads_answers`.
            examples: The other fields of each example, for postprocessors that use them.
            scores: The log-likelihood of each target in nats, if a metric `reads_scores`.

        Returns:
            The values of the task's metrics by name, 0 to 100.
        """
        fields = [{}] * len(targets) if examples is None else examples
        if not len(targets) == len(predictions) == len(fields):
            raise ValueError(
                f"{len(targets)} targets, {len(predictions)} predictions, {len(fields)} examples"
            )
        wanted = self._postprocessed(targets, fields, is_target=True)
        got = self._postprocessed(predictions, fields, is_target=False)
        values: dict[str, float] = {}
        for reference in self.metric_functions:
            function = references.resolve(reference, owner=f"task {self.name}")
            predicted = scores if _of_scores(reference) else got
            if predicted is None or len(predicted) != len(wanted):
                raise ValueError(f"task {self.name} needs the log-likelihoods of all its targets")
            values |= {name: float(value) for name, value in function(wanted, predicted).items()}
        return values

    def evaluate(
        self, split: str, predictions: Sequence[str], scores: Sequence[float] | None = None
    ) -> dict[str, float]:
        """Scores predictions for all examples of a split, in its order; see `metrics`."""
        cached = self.split(split)
        return self.metrics(cached.target_texts, predictions, cached.fields, scores)

    def answers(self, split: str, predictions: Sequence[str]) -> list[Any]:
        """Returns the postprocessed prediction of each example, as the metrics compare it."""
        return self._postprocessed(predictions, self.split(split).fields, is_target=False)

    def _postprocessed(
        self, texts: Sequence[str], fields: Sequence[Fields], *, is_target: bool
    ) -> list[Any]:
        if not is_target:
            texts = [postprocessors.without_prefix(text, self.target_prefix) for text in texts]
        if self.postprocessor is None:
            return list(texts)
        post = references.resolve(self.postprocessor, owner=f"task {self.name}")
        return [
            post(text, example=example, is_target=is_target)
            for text, example in zip(texts, fields, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class CachedMixture:
    """Tokenized tasks and the rates at which to draw from them.

    Attributes:
        name: The SeqIO mixture.
        digest: SHA-256 of its tasks' digests and its rates.
        parts: The tasks and their rates, relative to each other.
    """

    name: str
    digest: str
    parts: tuple[tuple[CachedTask, float], ...]

    @property
    def tasks(self) -> tuple[CachedTask, ...]:
        """The tasks of `parts`."""
        return tuple(task for task, _ in self.parts)

    @property
    def scored_split(self) -> str:
        """The split for final scores; `test+validation` if its tasks differ."""
        return "+".join(sorted({task.scored_split for task in self.tasks}))


MixtureOrTask = CachedTask | CachedMixture
"""Anything a prompt is tuned on, with `name`, `digest`, `parts`, `tasks` and `scored_split`."""


def mixture_digest(parts: Iterable[tuple[CachedTask, float]]) -> str:
    """Returns the SHA-256 of the digests and rates of a mixture's tasks."""
    content = [(task.digest, rate) for task, rate in parts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def labels_of(task: MixtureOrTask) -> tuple[str, ...]:
    """Returns the label words of a task, or the distinct ones of a mixture's tasks."""
    return tuple(dict.fromkeys(label for part in task.tasks for label in part.labels))


def _of_scores(reference: references.Reference) -> bool:
    return reference.get("of") == references.SCORES


def in_memory(inputs: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> CachedSplit:
    """Returns a split of token ids, without a cache on disk."""
    if len(inputs) != len(targets):
        raise ValueError(f"{len(inputs)} inputs and {len(targets)} targets")
    return CachedSplit(ragged.from_sequences(inputs), ragged.from_sequences(targets))


def longest(splits: Sequence[CachedSplit]) -> tuple[int, int]:
    """Returns the largest numbers of input and target tokens in the splits."""
    return (
        int(max(np.max(split.inputs.lengths, initial=1) for split in splits)),
        int(max(np.max(split.targets.lengths, initial=1) for split in splits)),
    )
