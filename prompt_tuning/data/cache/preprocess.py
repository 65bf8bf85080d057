"""Runs the preprocessors of SeqIO tasks and collects their output as arrays.

Starting a tf.data pipeline costs more than tokenizing a small split. Splits that have the same
preprocessors, each of which maps one example to one example, are therefore concatenated and run in
one pipeline.
"""

# The type stubs of TensorFlow and SeqIO lack or contradict much of what the libraries do.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import collections
import contextlib
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import seqio
import tensorflow as tf

from prompt_tuning.data.cache.entry import FEATURES, Cache
from prompt_tuning.data.cache.writer import Tokenized
from prompt_tuning.data.datasets.source import DatasetSource
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

TRAINING_SPLIT = "train"
_BATCH = 4096
_SEED = 0  # for preprocessors that draw at random
_SPLIT = "_split_number"
_ONE_TO_ONE = (  # each maps one example to one, and keeps features it does not know
    seqio.preprocessors.tokenize,
    seqio.preprocessors.tokenize_and_append_eos,
    seqio.preprocessors.append_eos,
    seqio.preprocessors.append_eos_after_trim,
)


class _Source(NamedTuple):
    task: seqio.Task
    split: str
    examples: tf.data.Dataset


def run_preprocessors(tasks: Sequence[seqio.Task], cache: Cache) -> dict[str, dict[str, Tokenized]]:
    """Tokenizes all splits of tasks, except streamed ones.

    Args:
        tasks: The tasks; their vocabularies are replaced by that of the cache.
        cache: The vocabulary and the feature lengths to use.

    Returns:
        The output of the preprocessors by task and split, in the order of each task's source.

    Raises:
        UserError: A source or a preprocessor fails, or the output is not token ids.
    """
    groups: dict[Any, list[_Source]] = collections.defaultdict(list)
    for task in tasks:
        bound = with_vocabulary(task, cache.vocabulary)
        for split in held_splits(task):
            with one_line_errors(f"task {task.name}"):
                examples = task.source.get_dataset(split=split, shuffle=False)
            groups[_group(bound, split, examples)].append(_Source(bound, split, examples))
    result: dict[str, dict[str, Tokenized]] = {task.name: {} for task in tasks}
    for members in groups.values():
        names = dict.fromkeys(member.task.name for member in members)
        with (
            one_line_errors(f"task {', '.join(names)}"),
            source_failures(member.task.source for member in members),
        ):
            tokenized = _run_group(members, cache)
        for member, arrays in zip(members, tokenized, strict=True):
            result[member.task.name][member.split] = arrays
    return result


def held_splits(task: seqio.Task) -> list[str]:
    """Returns the splits of a task that are not streamed."""
    streamed = isinstance(task.source, DatasetSource) and task.source.dataset.streamed
    return [split for split in task.splits if not (streamed and split == TRAINING_SPLIT)]


@contextlib.contextmanager
def one_line_errors(what: str) -> Iterator[None]:
    """Turns any exception of a user's code into a one-line UserError that names what failed."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or ["no message"]
        raise UserError(f"{what} failed with {type(error).__name__}: {lines[0]}") from error


@contextlib.contextmanager
def source_failures(sources: Iterable[Any]) -> Iterator[None]:
    """Raises the `failure` that a source recorded in place of TensorFlow's error about it."""
    try:
        yield
    except Exception:
        for source in sources:
            failure = getattr(source, "failure", None)
            if failure is not None:
                raise failure from None
        raise


def _group(task: seqio.Task, split: str, examples: tf.data.Dataset) -> Any:
    """Returns a key that is equal for splits that can share a pipeline."""
    spec = examples.element_spec
    if isinstance(spec, dict) and all(step in _ONE_TO_ONE for step in task.preprocessors):
        features = [
            (name, feature.add_eos, feature.dtype) for name, feature in task.output_features.items()
        ]
        return repr((spec, features, [_ONE_TO_ONE.index(step) for step in task.preprocessors]))
    return (task.name, split)


def _run_group(members: Sequence[_Source], cache: Cache) -> list[Tokenized]:
    lengths = cache.lengths
    if len(members) == 1:
        batches = _batches(members[0].task, members[0].examples, lengths)
        slices = [slice(None)]
    else:
        numbered = [
            tf.data.Dataset.zip((member.examples, tf.data.Dataset.from_tensors(number).repeat()))
            for number, member in enumerate(members)
        ]
        examples = functools.reduce(lambda left, right: left.concatenate(right), numbered)
        examples = examples.map(lambda example, number: {**example, _SPLIT: number})
        batches = _batches(members[0].task, examples, lengths)
        numbers = np.concatenate([batch.pop(_SPLIT).numpy() for batch in batches])
        edges = np.searchsorted(numbers, np.arange(len(members) + 1))
        slices = [slice(start, stop) for start, stop in itertools.pairwise(edges)]
    inputs, targets = (
        flat([batch[feature] for batch in batches], lengths[feature]) for feature in FEATURES
    )
    needs_fields = any(member.split != TRAINING_SPLIT for member in members)
    fields = _fields(batches, targets, cache.vocabulary) if needs_fields else []
    return [
        Tokenized(
            inputs.sequences(*part.indices(len(inputs))[:2]),
            targets.sequences(*part.indices(len(inputs))[:2]),
            None if member.split == TRAINING_SPLIT else fields[part],
        )
        for member, part in zip(members, slices, strict=True)
    ]


def _batches(
    task: seqio.Task, examples: tf.data.Dataset, lengths: Mapping[str, int]
) -> list[dict[str, Any]]:
    batches: Any = preprocessed(task, examples, lengths).ragged_batch(_BATCH)
    return list(batches)


def preprocessed(
    task: seqio.Task, examples: tf.data.Dataset, lengths: Mapping[str, int]
) -> tf.data.Dataset:
    """Runs a task's preprocessors on the examples of its source.

    Raises:
        UserError: The output is not token ids.
    """
    tf.random.set_seed(_SEED)
    examples = task.preprocess_precache(examples, seed=_SEED)
    examples = task.preprocess_postcache(examples, sequence_length=dict(lengths), seed=_SEED)
    _check_features(task, examples)
    return examples


def with_vocabulary(task: seqio.Task, vocabulary: Vocabulary) -> seqio.Task:
    """Returns a task with its vocabularies replaced by another."""
    features = {}
    for name, feature in task.output_features.items():
        if name in FEATURES:
            if not isinstance(feature.vocabulary, seqio.SentencePieceVocabulary):
                kind = type(feature.vocabulary).__name__
                raise UserError(
                    f"task {task.name} writes {name} with a {kind}; "
                    "T5 reads seqio.SentencePieceVocabulary"
                )
            feature = seqio.Feature(
                seqio.SentencePieceVocabulary(str(vocabulary.path), vocabulary.extra_ids),
                add_eos=feature.add_eos,
                required=feature.required,
                dtype=feature.dtype,
            )
        features[name] = feature
    return task.replace(output_features=features)


def _check_features(task: seqio.Task, examples: tf.data.Dataset) -> None:
    specs: Any = examples.element_spec
    for feature in FEATURES:
        spec = specs.get(feature)
        if spec is None:
            raise UserError(
                f"task {task.name} gives no {feature!r} after its preprocessors, only "
                f"{', '.join(specs)}; add a preprocessor that writes it"
            )
        if not spec.dtype.is_integer or spec.shape.rank != 1:
            raise UserError(
                f"task {task.name} gives {feature!r} as {spec.dtype.name} of rank "
                f"{spec.shape.rank}, not token ids; add seqio.preprocessors.tokenize"
            )


def flat(batches: Sequence[Any], length: int) -> Ragged:
    """Joins batches of sequences, trimming each to `length` tokens as SeqIO does last."""
    tokens, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for batch in batches:
        ragged = tf.RaggedTensor.from_tensor(batch) if isinstance(batch, tf.Tensor) else batch
        ragged = ragged[:, :length]
        tokens.append(ragged.flat_values.numpy())
        lengths.append(ragged.row_lengths().numpy())
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return Ragged(np.concatenate(tokens).astype(np.int32), offsets.astype(np.int64))


def _fields(
    batches: Sequence[Mapping[str, Any]], targets: Ragged, vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    """Returns the other features of each example, always with the text of its target."""
    fields: list[dict[str, Any]] = []
    for batch in batches:
        names = [name for name in batch if name not in FEATURES]
        columns = [_plain(batch[name]) for name in names]
        texts = columns or [_plain(batch["targets"])]
        for i in range(len(texts[0])):
            fields.append({name: column[i] for name, column in zip(names, columns, strict=True)})
    for i, example in enumerate(fields):
        if "targets_pretokenized" not in example:
            example["targets_pretokenized"] = vocabulary.decode(targets[i])
    return fields


def _plain(values: Any) -> list[Any]:
    """Returns a batch of a feature as nested lists of plain values."""
    ragged = isinstance(values, tf.RaggedTensor)
    return _decoded(values.to_list() if ragged else values.numpy().tolist())


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return [_decoded(item) for item in value] if isinstance(value, list) else value
