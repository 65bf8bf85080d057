"""Tokenises SeqIO tasks into the cache. The one place that runs tf.data; run as a module.

`python -m prompt_tuning.data.tokenize` reads a request as JSON from its input and writes messages
and at most one error as JSON lines to its output (`prompt_tuning.data.cache` is its caller).
"""

import importlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from prompt_tuning.data import cache_writer, entries, references, sources
from prompt_tuning.data.cache_writer import Origin, Tokenized
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError, nearest

OWN_TASKS = "prompt_tuning.data.tasks"
_TRAINING_SPLIT = "train"
_BATCH = 4096
_SEED = 0  # of preprocessors that draw at random


def build(
    cache_dir: str | Path,
    names: Sequence[str],
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    *,
    modules: Sequence[str],
    tfds_data_dir: str | None,
    report: Callable[[str], None],
) -> None:
    """Tokenises tasks, and the tasks of mixtures, that the cache does not hold.

    A task is tokenised with `vocabulary`, whatever SentencePiece vocabulary it was registered
    with, because the frozen model knows no other.

    Args:
        cache_dir: The cache directory.
        names: SeqIO tasks and mixtures.
        vocabulary: The frozen model's vocabulary.
        lengths: The most tokens kept, by feature.
        modules: Modules that register further tasks.
        tfds_data_dir: Where TensorFlow Datasets keeps its data, or None for its default.
        report: Takes one line of text for the user.

    Raises:
        UserError: A name or module is unknown, a task fails, or the directory cannot be written.
    """
    if tfds_data_dir is not None:
        seqio.set_tfds_data_dir_override(tfds_data_dir)
    registered = _import_modules([OWN_TASKS, *modules])
    for provider in [_provider(name) for name in names]:
        if isinstance(provider, seqio.Mixture):
            for task in provider.tasks:
                _build_task(cache_dir, task, vocabulary, lengths, registered, report)
            _build_mixture(cache_dir, provider, vocabulary, lengths, registered)
        else:
            _build_task(cache_dir, provider, vocabulary, lengths, registered, report)


def main() -> int:
    """Serves one request; returns the exit status."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a task prints is no message

    def send(kind: str, text: str) -> None:
        out.write(json.dumps({kind: " ".join(text.split())}) + "\n")
        out.flush()

    request = json.load(sys.stdin)
    try:
        build(
            request["cache_dir"],
            request["names"],
            Vocabulary(request["vocabulary"], request["extra_ids"]),
            request["lengths"],
            modules=request["modules"],
            tfds_data_dir=request["tfds_data_dir"],
            report=lambda text: send("message", text),
        )
    except UserError as error:
        send("error", str(error))
        return 2
    return 0


def _import_modules(modules: Sequence[str]) -> dict[str, str]:
    """Imports modules; returns the module that registered each task and mixture."""
    registered: dict[str, str] = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise _failed(f"task module {module}", error) from error
            raise UserError(
                f"no task module {module}; give an importable name such as my_package.my_tasks "
                "and put its directory on PYTHONPATH"
            ) from error
        except Exception as error:  # a user's module may fail in any way
            raise _failed(f"task module {module}", error) from error
        for name in (*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()):
            registered.setdefault(name, module)
    return registered


def _provider(name: str) -> seqio.Task | seqio.Mixture:
    tasks, mixtures = seqio.TaskRegistry.names(), seqio.MixtureRegistry.names()
    if name in mixtures:
        return seqio.MixtureRegistry.get(name)
    if name in tasks:
        return seqio.TaskRegistry.get(name)
    raise UserError(
        f"no task or mixture {name!r}{nearest(name, {*tasks, *mixtures})}; "
        "name a registered one, or add the module that registers it to the task modules"
    )


def _build_task(
    cache_dir: str | Path,
    task: seqio.Task,
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    registered: Mapping[str, str],
    report: Callable[[str], None],
) -> None:
    if _is_cached(cache_dir, task.name, vocabulary, lengths):
        return
    owner = f"task {task.name}"
    metrics = [_metric_reference(function, owner) for function in task.metric_fns]
    if task.metric_objs and not task.metric_fns:
        raise UserError(
            f"{owner} has metric objects alone; give it metric_fns of (targets, predictions)"
        )
    postprocessor = task.postprocessor and references.refer(task.postprocessor, owner)
    start = time.monotonic()
    try:
        splits = {
            split: _tokenize(task, split, vocabulary, lengths) for split in sorted(task.splits)
        }
    except UserError:
        raise
    except Exception as error:  # preprocessors and data sources may fail in any way
        raise _failed(owner, error) from error
    cache_writer.write_task(
        cache_dir,
        task.name,
        vocabulary,
        lengths,
        splits=splits,
        labels=_labels(postprocessor),
        metrics=metrics,
        postprocessor=postprocessor,
        origin=Origin(_source_digests(task, registered), _data_files(task)),
    )
    counts = ", ".join(f"{len(split.inputs):,} {name}" for name, split in splits.items())
    report(f"tokenised {task.name}: {counts} ({time.monotonic() - start:.1f} s)")


def _build_mixture(
    cache_dir: str | Path,
    mixture: seqio.Mixture,
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    registered: Mapping[str, str],
) -> None:
    modules = {module for task in mixture.tasks for module in _source_digests(task, registered)}
    modules |= {registered[mixture.name]} if mixture.name in registered else set()
    try:
        rates = {task.name: mixture.get_rate(task) for task in mixture.tasks}
    except Exception as error:  # rates may be functions of the user's
        raise _failed(f"mixture {mixture.name}", error) from error
    cache_writer.write_mixture(
        cache_dir,
        mixture.name,
        vocabulary,
        lengths,
        rates=rates,
        origin=Origin(sources.digests(modules)),
    )


def _is_cached(
    cache_dir: str | Path, name: str, vocabulary: Vocabulary, lengths: Mapping[str, int]
) -> bool:
    try:
        return entries.load(cache_dir, name, vocabulary, lengths) is not None
    except entries.UnusableError:
        return False


def _tokenize(
    task: seqio.Task, split: str, vocabulary: Vocabulary, lengths: Mapping[str, int]
) -> Tokenized:
    task = _with_vocabulary(task, vocabulary)
    tf.random.set_seed(_SEED)
    dataset = task.source.get_dataset(split=split, shuffle=False)
    dataset = task.preprocess_precache(dataset, seed=_SEED)
    dataset = task.preprocess_postcache(dataset, sequence_length=dict(lengths), seed=_SEED)
    _check_features(task, dataset)
    with_fields = split != _TRAINING_SPLIT
    if not with_fields:
        dataset = dataset.map(lambda example: {key: example[key] for key in entries.FEATURES})
    batches = list(dataset.ragged_batch(_BATCH))
    inputs, targets = (
        _flat([batch[feature] for batch in batches], lengths[feature])
        for feature in entries.FEATURES
    )
    fields = _fields(batches, targets, vocabulary) if with_fields else None
    return Tokenized(inputs, targets, fields)


def _with_vocabulary(task: seqio.Task, vocabulary: Vocabulary) -> seqio.Task:
    features = {}
    for name, feature in task.output_features.items():
        if name in entries.FEATURES:
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


def _check_features(task: seqio.Task, dataset: tf.data.Dataset) -> None:
    for feature in entries.FEATURES:
        spec = dataset.element_spec.get(feature)
        if spec is None:
            raise UserError(
                f"task {task.name} gives no {feature!r} after its preprocessors, only "
                f"{', '.join(dataset.element_spec)}; add a preprocessor that writes it"
            )
        if not spec.dtype.is_integer or spec.shape.rank != 1:
            raise UserError(
                f"task {task.name} gives {feature!r} as {spec.dtype.name} of rank "
                f"{spec.shape.rank}, not token ids; add seqio.preprocessors.tokenize"
            )


def _flat(batches: Sequence[Any], length: int) -> Ragged:
    """Joins batches of sequences, each cut at `length` tokens as SeqIO does at the end."""
    tokens, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for batch in batches:
        if isinstance(batch, tf.Tensor):
            batch = tf.RaggedTensor.from_tensor(batch)
        batch = batch[:, :length]
        tokens.append(batch.flat_values.numpy())
        lengths.append(batch.row_lengths().numpy())
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return Ragged(np.concatenate(tokens).astype(np.int32), offsets.astype(np.int64))


def _fields(
    batches: Sequence[Mapping[str, Any]], targets: Ragged, vocabulary: Vocabulary
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for batch in batches:
        columns = {
            name: _plain(values) for name, values in batch.items() if name not in entries.FEATURES
        }
        count = len(_plain(batch["targets"]))
        rows.extend({name: column[i] for name, column in columns.items()} for i in range(count))
    for row, tokens in zip(rows, targets, strict=True):
        row.setdefault("targets_pretokenized", vocabulary.decode(tokens))
    return rows


def _plain(values: Any) -> list[Any]:
    """Returns a batch of any feature as nested lists of plain values."""
    return _decoded(
        values.to_list() if isinstance(values, tf.RaggedTensor) else values.numpy().tolist()
    )


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return [_decoded(item) for item in value] if isinstance(value, list) else value


def _metric_reference(function: Callable[..., Any], owner: str) -> references.Reference:
    positional = list(inspect.signature(function).parameters)[:2]
    if positional != ["targets", "predictions"]:
        raise UserError(
            f"{owner} has a metric of ({', '.join(positional)}, ...); "
            "metrics of (targets, predictions) can be used"
        )
    return references.refer(function, owner)


def _labels(postprocessor: references.Reference | None) -> list[str]:
    kwargs = postprocessor["kwargs"] if postprocessor else {}
    return list(kwargs.get("labels") or kwargs.get("label_classes") or [])


def _source_digests(task: seqio.Task, registered: Mapping[str, str]) -> dict[str, str]:
    functions = [*task.preprocessors, *task.metric_fns, task.postprocessor]
    functions.append(getattr(task.source, "_dataset_fn", None))
    modules = {_module(function) for function in functions if function is not None}
    if task.name in registered:
        modules.add(registered[task.name])
    return sources.digests(sorted(modules - {None}))


def _module(function: Any) -> str | None:
    return getattr(getattr(function, "func", function), "__module__", None)


def _data_files(task: seqio.Task) -> list[tuple[str, int, int]]:
    if not isinstance(task.source, seqio.FileDataSource):
        return []
    files = {file for split in task.splits for file in task.source.list_shards(split)}
    return [entries.data_file_record(file) for file in sorted(files) if os.path.exists(file)]


def _failed(what: str, error: Exception) -> UserError:
    message = str(error).strip().splitlines() or [""]
    return UserError(f"{what} failed with {type(error).__name__}: {message[0]}")


if __name__ == "__main__":
    sys.exit(main())
