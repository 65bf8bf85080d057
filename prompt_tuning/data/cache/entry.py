"""Entries of the tokenized cache: a SeqIO task as plain arrays on disk.

An entry is a directory `<cache_dir>/<name>-<key>/`. The key is a digest of the task's name, the
vocabulary, the feature lengths and the version of the format. It holds, for each split and feature,
the flat token ids and their offsets (`.npy`), for evaluation splits the other fields as JSON lines,
and `manifest.json`: the digests of these files, how the task is scored, and what must not have
changed for the entry to be used: the version of a task that the package declares, the files of a
user's task modules, the local files that examples came from. A mixture's entry names its tasks and
their rates.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.data import declarations, references
from prompt_tuning.data.cache import sources
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

FORMAT_VERSION = 2
"""Raise it where entries are laid out differently, or where any task gives other tokens."""
MANIFEST = "manifest.json"
FEATURES = ("inputs", "targets")
_HASHED_BYTES = 64 * 2**20  # larger files are checked by their size alone


class UnusableError(Exception):
    """Says why an entry that is there cannot be used."""


def open_entry(
    cache_dir: str | Path, name: str, vocabulary: Vocabulary, lengths: Mapping[str, int]
) -> MixtureOrTask | None:
    """Opens the entry of a task or mixture, or returns None where there is none.

    Args:
        cache_dir: The cache directory.
        name: The SeqIO task or mixture.
        vocabulary: What it is tokenized with.
        lengths: The most tokens kept, by feature (`inputs`, `targets`).

    Raises:
        UnusableError: The entry is damaged, or what it was made from has changed.
    """
    directory = entry_directory(cache_dir, name, vocabulary, lengths)
    try:
        if not directory.is_dir():
            return None
        return _open(directory, cache_dir, vocabulary, lengths)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableError(f"it is damaged ({error})") from error


def entry_directory(
    cache_dir: str | Path, name: str, vocabulary: Vocabulary, lengths: Mapping[str, int]
) -> Path:
    """Returns where the entry of a task or mixture stands."""
    parts = [FORMAT_VERSION, name, vocabulary.digest, sorted(lengths.items())]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return Path(cache_dir) / f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}-{key}"


def array_names(split: str, feature: str) -> tuple[str, str]:
    """Returns the file names of a feature's token ids and offsets."""
    return f"{_stem(split)}.{feature}.tokens.npy", f"{_stem(split)}.{feature}.offsets.npy"


def fields_name(split: str) -> str:
    """Returns the file name of an evaluation split's other fields."""
    return f"{_stem(split)}.fields.jsonl"


def file_record(path: Path) -> tuple[int, str]:
    """Returns the size of a file and, unless it is very large, the SHA-256 of its bytes."""
    size = path.stat().st_size
    if size > _HASHED_BYTES:
        return size, ""
    return size, hashlib.sha256(path.read_bytes()).hexdigest()


DataFile = tuple[str, int | None, int | None]
"""The path, size and time of change of a file that a task reads; None for one that is not there."""


def data_file_record(path: str) -> DataFile:
    """Returns the record of a file that a task reads, or would read if it were there."""
    size, time = _stamp(path) if os.path.exists(path) else (None, None)
    return path, size, time


def scoring_fields(scoring: Scoring) -> dict[str, Any]:
    """Returns how a task is scored as fields of a manifest."""
    return {
        "metrics": list(scoring.metrics),
        "postprocessor": scoring.postprocessor,
        "labels": list(scoring.labels),
    }


def task_digest(manifest: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a task's tokens and scoring, whatever code they were made by."""
    names = ("name", "splits", "metrics", "postprocessor", "labels")
    what = {name: manifest[name] for name in names}
    if manifest.get("stream"):
        what["stream"] = manifest["stream"]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def listed(names: Sequence[str]) -> str:
    """Returns names for a message: all of a few, or the first three and how many more."""
    return ", ".join(names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"])


def _open(
    directory: Path, cache_dir: str | Path, vocabulary: Vocabulary, lengths: Mapping[str, int]
) -> MixtureOrTask:
    manifest = read_manifest(directory)
    if manifest["format_version"] != FORMAT_VERSION:
        raise UnusableError("it has another format")
    declared = _declaration(manifest)
    changed = sources.changed(manifest["token_modules"] | manifest["scoring_modules"])
    if changed:
        raise UnusableError(f"{listed(changed)} changed since it was made")
    for path, size, time in manifest["data_files"]:
        # A file that is gone may have been left on the machine that tokenized it.
        if os.path.exists(path) and _stamp(path) != (size, time):
            raise UnusableError(f"{path} changed since it was made")
    if manifest["kind"] == "mixture":
        return _open_mixture(cache_dir, manifest, vocabulary, lengths)
    return _open_task(directory, manifest, vocabulary, declared)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Returns what an entry says of itself, unchecked."""
    return json.loads((directory / MANIFEST).read_text(encoding="utf-8"))


def _declaration(manifest: Mapping[str, Any]) -> Declaration | None:
    """Returns what the package declares of a task of its own, if it still has that version."""
    if manifest["declared_in"] is None:
        return None
    declared = declarations.declaration(manifest["declared_in"], manifest["name"])
    if declared is None or declared.version != manifest["version"]:
        raise UnusableError("the package has another version of it")
    return declared


def _open_task(
    directory: Path,
    manifest: dict[str, Any],
    vocabulary: Vocabulary,
    declared: Declaration | None,
) -> CachedTask:
    if manifest["digest"] != task_digest(manifest):
        raise UnusableError(f"its {MANIFEST} is damaged")
    if declared is not None:
        owner = f"task {manifest['name']}"
        scoring = references.refer_scoring(declared.metrics, declared.postprocessor, owner)
        manifest = manifest | scoring_fields(scoring)
    return CachedTask(
        name=manifest["name"],
        digest=task_digest(manifest),
        splits={
            name: _open_split(directory, name, split) for name, split in manifest["splits"].items()
        },
        labels=tuple(manifest["labels"]),
        metric_functions=tuple(manifest["metrics"]),
        postprocessor=manifest["postprocessor"],
        lengths=manifest["lengths"],
        stream=StreamedSplit(manifest["name"], vocabulary, manifest["lengths"])
        if manifest.get("stream")
        else None,
    )


def _open_split(directory: Path, name: str, split: Mapping[str, Any]) -> CachedSplit:
    for file, record in split["files"].items():
        path = directory / Path(file).name
        if not path.is_file() or file_record(path) != tuple(record):
            raise UnusableError(f"its {path.name} is damaged")
    inputs, targets = (_open_feature(directory, name, feature) for feature in FEATURES)
    fields_file = directory / fields_name(name)
    with_fields = fields_file.name in split["files"]
    return CachedSplit(inputs, targets, fields_file if with_fields else None)


def _open_feature(directory: Path, split: str, feature: str) -> Ragged:
    tokens, offsets = (
        np.load(directory / name, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        for name in array_names(split, feature)
    )
    return Ragged(tokens, offsets)


def _open_mixture(
    cache_dir: str | Path,
    manifest: Mapping[str, Any],
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
) -> CachedMixture:
    parts = []
    for name, rate in manifest["rates"].items():
        part = open_entry(cache_dir, name, vocabulary, lengths)
        if not isinstance(part, CachedTask):
            raise UnusableError(f"its task {name} is missing")
        parts.append((part, float(rate)))
    return CachedMixture(manifest["name"], mixture_digest(parts), tuple(parts))


def _stem(name: str) -> str:
    """Returns a split's name as part of a file name; other characters than these are replaced."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', name)}-{digest}"


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
