"""The tokenized cache: opens tasks without TensorFlow or SeqIO, and has missing ones tokenized."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from prompt_tuning.data.cache import entry
from prompt_tuning.data.cached_task import CachedMixture, MixtureOrTask
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError


def find(
    cache_dir: str | Path, name: str, vocabulary: Vocabulary, lengths: Mapping[str, int]
) -> MixtureOrTask | None:
    """Opens a task or mixture, or returns None where it has to be tokenized (again).

    Args:
        cache_dir: The cache directory.
        name: The SeqIO task or mixture.
        vocabulary: What it is tokenized with.
        lengths: The most tokens kept, by feature (`inputs`, `targets`).
    """
    try:
        return entry.open_entry(cache_dir, name, vocabulary, lengths)
    except entry.UnusableError:
        return None


def ensure_cached(
    cache_dir: str | Path,
    names: Sequence[str],
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    *,
    modules: Sequence[str],
    data_dir: str | None,
    tfds_data_dir: str | None,
    report: Callable[[str], None],
) -> list[MixtureOrTask]:
    """Opens tasks and mixtures; those missing, stale or damaged are tokenized first.

    Args:
        cache_dir: The cache directory; made where there is none. Entries do not know `data_dir`,
            so that each needs a cache directory of its own.
        names: SeqIO tasks and mixtures.
        vocabulary: The model's vocabulary.
        lengths: The most tokens kept, by feature (`inputs`, `targets`).
        modules: Modules that register further SeqIO tasks when imported.
        data_dir: Where published datasets are as JSON lines, or None.
        tfds_data_dir: Where TensorFlow Datasets keeps its data, or None for its default.
        report: Takes one line of text for the user.

    Returns:
        What `names` name, in their order.

    Raises:
        UserError: A task or module is unknown, a task fails, or the directory cannot be written.
    """
    check_lengths(lengths)
    opened: dict[str, MixtureOrTask | None] = {}
    unusable: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        try:
            opened[name] = entry.open_entry(cache_dir, name, vocabulary, lengths)
        except entry.UnusableError as reason:
            unusable.setdefault(str(reason), []).append(name)
            opened[name] = None
    for reason, again in unusable.items():
        report(f"tokenizing {entry.listed(again)} again: {reason}")
    missing = [name for name, task in opened.items() if task is None]
    if missing:
        from prompt_tuning.data.cache import tokenizing

        tokenizing.tokenize(
            cache_dir,
            missing,
            vocabulary,
            lengths,
            modules=modules,
            data_dir=data_dir,
            tfds_data_dir=tfds_data_dir,
            report=report,
        )
    for name in missing:
        opened[name] = find(cache_dir, name, vocabulary, lengths)
    return [_reading(_present(name, opened[name]), data_dir, tfds_data_dir) for name in names]


def check_lengths(lengths: Mapping[str, int]) -> None:
    """Checks feature lengths.

    Raises:
        UserError: There are others than `inputs` and `targets`, or one is below 2.
    """
    if set(lengths) != set(entry.FEATURES):
        raise UserError(
            f"feature lengths are given for {', '.join(sorted(lengths)) or 'nothing'}; "
            f"give them for {' and '.join(entry.FEATURES)}"
        )
    for feature, length in lengths.items():
        if length < 2:
            raise UserError(
                f"feature length {length} of {feature} leaves no token before EOS; use 2 or more"
            )


def _reading(task: MixtureOrTask, data_dir: str | None, tfds_data_dir: str | None) -> MixtureOrTask:
    """Returns an entry whose streams know where to read."""
    if isinstance(task, CachedMixture):
        parts = [(_reading(part, data_dir, tfds_data_dir), rate) for part, rate in task.parts]
        return dataclasses.replace(task, parts=tuple(parts))
    if task.stream is None:
        return task
    stream = dataclasses.replace(task.stream, data_dir=data_dir, tfds_data_dir=tfds_data_dir)
    return dataclasses.replace(task, stream=stream)


def _present(name: str, task: MixtureOrTask | None) -> MixtureOrTask:
    if task is None:
        raise UserError(
            f"task {name} was tokenized, but its cache entry cannot be read; "
            "check that nothing else changes the cache directory or the task's source files"
        )
    return task
