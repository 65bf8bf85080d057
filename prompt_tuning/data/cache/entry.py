"""Entries of the tokenized cache: SeqIO tasks and mixtures as plain arrays on disk.

The entry of a task is a directory `<cache>/<name>-<key>/`, where the key is a digest of the task's
name, the vocabulary, the feature lengths and the format version. It holds:

- for each split and feature, the flat token ids and their offsets (`.npy`);
- for each evaluation split, the other fields of its examples (`.jsonl`);
- `manifest.json`: digests of these files, how the task is scored, and what must be unchanged for
  the entry to be used. That is the version of a task of the package, the source files of a user's
  task modules, and the local data files that examples were read from.

The entry of a mixture lists its tasks and their rates.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.data import declarations, references
from prompt_tuning.data.cached_task import (
    CachedMixture,
    CachedSplit,
    CachedTask,
    MixtureOrTask,
    StreamedSplit,
    mixture_digest,
)
from prompt_tuning.data.declarations import Declaration
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.references import Scoring
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError

FORMAT_VERSION = 2
"""Raise it when the layout of entries changes, or when unchanged tasks give different tokens."""
MANIFEST = "manifest.json"
FEATURES = ("inputs", "targets")
_HASHED_BYTES = 64 * 2**20  # larger files are checked by size alone

DataFile = tuple[str, int | None, int | None]
"""The path, size and modification time of a data file; None for a file that does not exist."""


class UnusableError(Exception):
    """Explains why an existing entry cannot be used."""


@dataclass(frozen=True)
class Cache:
    """A directory of tasks tokenized in one way, and where to find the tasks it lacks.

    Attributes:
        directory: The directory, created if missing. Entries do not record `data_dir`, so each
            `data_dir` needs a directory of its own.
        vocabulary: The model's vocabulary. Tasks are tokenized with it, whatever SentencePiece
            vocabulary they were registered with.
        lengths: The most tokens kept, by feature (`inputs`, `targets`), end of sequence included.
        modules: Modules that register further SeqIO tasks when imported.
        data_dir: Directory of published datasets as JSON lines, or None.
        tfds_data_dir: Data directory of TensorFlow Datasets, or None for its default.

    Raises:
        UserError: A length is missing or below 2.
    """

    directory: Path
    vocabulary: Vocabulary
    lengths: Mapping[str, int]
    modules: Sequence[str] = ()
    data_dir: str | None = None
    tfds_data_dir: str | None = None

    def __post_init__(self):
        check_lengths(self.lengths)

    def entry_directory(self, name: str) -> Path:
        """Returns the directory of the entry of a task or mixture."""
        parts = [FORMAT_VERSION, name, self.vocabulary.digest, sorted(self.lengths.items())]
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return self.directory / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}-{key}"

    def open_entry(self, name: str) -> MixtureOrTask | None:
        """Opens the entry of a task or mixture; returns None if there is none.

        Raises:
            UnusableError: The entry is damaged, or what it was made from has changed.
        """
        directory = self.entry_directory(name)
        try:
            return _open(directory, self) if directory.is_dir() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnusableError(f"it is damaged ({error})") from error


def check_lengths(lengths: Mapping[str, int]) -> None:
    """Checks feature lengths.

    Raises:
        UserError: The features are not `inputs` and `targets`, or a length is below 2.
    """
    if set(lengths) != set(FEATURES):
        raise UserError(
            f"feature lengths are given for {', '.join(sorted(lengths)) or 'nothing'}; "
            f"give them for {' and '.join(FEATURES)}"
        )
    for feature, length in lengths.items():
        if length < 2:
            raise UserError(
                f"feature length {length} of {feature} leaves no token before EOS; use 2 or more"
            )


def array_names(split: str, feature: str) -> tuple[str, str]:
    """Returns the file names of a feature's token ids and offsets."""
    return f"{_stem(split)}.{feature}.tokens.npy", f"{_stem(split)}.{feature}.offsets.npy"


def fields_name(split: str) -> str:
    """Returns the file name of the other fields of an evaluation split."""
    return f"{_stem(split)}.fields.jsonl"


def file_record(path: Path) -> tuple[int, str]:
    """Returns the size of a file and its SHA-256, which is empty for a very large file."""
    size = path.stat().st_size
    if size > _HASHED_BYTES:
        return size, ""
    return size, hashlib.sha256(path.read_bytes()).hexdigest()


def data_file_record(path: str) -> DataFile:
    """Returns the record of a data file, which need not exist."""
    size, time = _stamp(path) if os.path.exists(path) else (None, None)
    return path, size, time


def scoring_fields(scoring: Scoring) -> dict[str, Any]:
    """Returns the scoring of a task as manifest fields."""
    return {
        "metrics": list(scoring.metrics),
        "postprocessor": scoring.postprocessor,
        "labels": list(scoring.labels),
    }


def task_digest(manifest: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a task's tokens and scoring, regardless of the code behind them."""
    names = ("name", "splits", "metrics", "postprocessor", "labels")
    content = {name: manifest[name] for name in names}
    if manifest.get("stream"):
        content["stream"] = manifest["stream"]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(directory: Path) -> dict[str, Any]:
    """Returns the manifest of an entry, unchecked."""
    return json.loads((directory / MANIFEST).read_text(encoding="utf-8"))


def listed(names: Sequence[str]) -> str:
    """Joins names for a message: up to four, or the first three and a count of the rest."""
    return ", ".join(names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"])


def _open(directory: Path, cache: Cache) -> MixtureOrTask:
    manifest = read_manifest(directory)
    if manifest["format_version"] != FORMAT_VERSION:
        raise UnusableError("it has another format")
    declared = _declaration(manifest)
    _check_sources(manifest)
    if manifest["kind"] == "mixture":
        return _open_mixture(manifest, cache)
    return _open_task(directory, manifest, cache, declared)


def _declaration(manifest: Mapping[str, Any]) -> Declaration | None:
    """Returns the package's declaration of its own task, if its version is still the same."""
    if manifest["declared_in"] is None:
        return None
    declared = declarations.declaration(manifest["declared_in"], manifest["name"])
    if declared is None or declared.version != manifest["version"]:
        raise UnusableError("the package has another version of it")
    return declared


def _check_sources(manifest: Mapping[str, Any]) -> None:
    """Checks that the modules and data files of an entry are unchanged."""
    modules = manifest["token_modules"] | manifest["scoring_modules"]
    if modules:  # only tasks of a user's own have any
        from prompt_tuning.data.cache import sources

        changed = sources.changed(modules)
        if changed:
            raise UnusableError(f"{listed(changed)} changed since it was made")
    for path, size, time in manifest["data_files"]:
        # A missing file may simply be on the machine that tokenized it.
        if os.path.exists(path) and _stamp(path) != (size, time):
            raise UnusableError(f"{path} changed since it was made")


def _open_task(
    directory: Path, manifest: dict[str, Any], cache: Cache, declared: Declaration | None
) -> CachedTask:
    if manifest["digest"] != task_digest(manifest):
        raise UnusableError(f"its {MANIFEST} is damaged")
    name, lengths = manifest["name"], manifest["lengths"]
    if declared is not None:
        scoring = references.refer_scoring(declared.metrics, declared.postprocessor, f"task {name}")
        manifest = manifest | scoring_fields(scoring)
    stream = None
    if manifest.get("stream"):
        stream = StreamedSplit(name, cache.vocabulary, lengths, cache.data_dir, cache.tfds_data_dir)
    return CachedTask(
        name=name,
        digest=task_digest(manifest),
        splits={
            split: _open_split(directory, split, record)
            for split, record in manifest["splits"].items()
        },
        labels=tuple(manifest["labels"]),
        metric_functions=tuple(manifest["metrics"]),
        postprocessor=manifest["postprocessor"],
        lengths=lengths,
        stream=stream,
    )


def _open_split(directory: Path, name: str, record: Mapping[str, Any]) -> CachedSplit:
    for file, expected in record["files"].items():
        path = directory / Path(file).name
        if not path.is_file() or file_record(path) != tuple(expected):
            raise UnusableError(f"its {path.name} is damaged")
    inputs, targets = (_open_feature(directory, name, feature) for feature in FEATURES)
    fields_file = directory / fields_name(name)
    return CachedSplit(
        inputs, targets, fields_file if fields_file.name in record["files"] else None
    )


def _open_feature(directory: Path, split: str, feature: str) -> Ragged:
    tokens, offsets = (
        np.load(directory / name, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        for name in array_names(split, feature)
    )
    return Ragged(tokens, offsets)


def _open_mixture(manifest: Mapping[str, Any], cache: Cache) -> CachedMixture:
    parts = []
    for name, rate in manifest["rates"].items():
        task = cache.open_entry(name)
        if not isinstance(task, CachedTask):
            raise UnusableError(f"its task {name} is missing")
        parts.append((task, float(rate)))
    return CachedMixture(manifest["name"], mixture_digest(parts), tuple(parts))


def _stem(name: str) -> str:
    """Returns a split's name as part of a file name, with unsafe characters replaced."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}-{digest}"


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
