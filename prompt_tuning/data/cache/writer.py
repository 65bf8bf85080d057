"""Writes entries of the tokenized cache, each complete or not at all."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning import storage
from prompt_tuning.data.cache import entry
from prompt_tuning.data.cache.entry import Cache, DataFile
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.references import Scoring
from prompt_tuning.types import UserError


class Tokenized(NamedTuple):
    """A tokenized split.

    Attributes:
        inputs: Token ids of the inputs.
        targets: Token ids of the targets.
        fields: The other fields of each example, or None to leave them out.
    """

    inputs: Ragged
    targets: Ragged
    fields: Sequence[Mapping[str, Any]] | None


class Origin(NamedTuple):
    """What an entry was made from.

    Attributes:
        declared_in: The module of the package that declares the task; None for a user's own task.
        version: The version of the task; None for a user's task without one.
        token_modules: SHA-256 of the files of a user's modules that determine the tokens, by
            module.
        scoring_modules: The same for modules with metrics and postprocessors alone.
        data_files: The local files that the examples are read from, including absent ones.
    """

    declared_in: str | None = None
    version: str | None = None
    token_modules: Mapping[str, str] = MappingProxyType({})
    scoring_modules: Mapping[str, str] = MappingProxyType({})
    data_files: Sequence[DataFile] = ()

    def fields(self) -> dict[str, Any]:
        """Returns the origin as manifest fields."""
        return {
            "declared_in": self.declared_in,
            "version": self.version,
            "token_modules": dict(self.token_modules),
            "scoring_modules": dict(self.scoring_modules),
            "data_files": list(self.data_files),
        }


def write_task(
    cache: Cache,
    name: str,
    *,
    splits: Mapping[str, Tokenized],
    scoring: Scoring,
    origin: Origin,
    stream: str | None = None,
) -> Path:
    """Writes the entry of a task and returns its directory.

    Args:
        cache: The cache.
        name: The SeqIO task.
        splits: Its splits, except a streamed one.
        scoring: Its metrics and postprocessor.
        origin: What it was made from.
        stream: Identifies the data of its training split, if that is streamed.

    Raises:
        UserError: The directory cannot be written.
    """
    with _new_entry(cache, name) as directory:
        manifest: dict[str, Any] = {
            **_header(cache, "task", name),
            "stream": stream,
            "splits": {split: _write_split(directory, split, splits[split]) for split in splits},
            **entry.scoring_fields(scoring),
            **origin.fields(),
        }
        manifest["digest"] = entry.task_digest(manifest)
        _write_manifest(directory, manifest)
    return cache.entry_directory(name)


def write_mixture(cache: Cache, name: str, rates: Mapping[str, float], origin: Origin) -> None:
    """Writes the entry of a mixture, whose tasks have entries of their own.

    Args:
        cache: The cache.
        name: The SeqIO mixture.
        rates: The rate of each task, relative to the others.
        origin: What it was made from.

    Raises:
        UserError: The directory cannot be written.
    """
    with _new_entry(cache, name) as directory:
        _write_manifest(
            directory,
            {**_header(cache, "mixture", name), "rates": dict(rates), **origin.fields()},
        )


def update_scoring(cache: Cache, name: str, scoring: Scoring, origin: Origin) -> None:
    """Updates how the task of an entry is scored, if its tokens are still valid.

    They are if the source of the user's task has the same version as before or, without a version,
    if the modules that determine its tokens are unchanged. Otherwise, and if there is no sound
    entry, nothing is written.

    Args:
        cache: The cache.
        name: The SeqIO task.
        scoring: Its present metrics and postprocessor.
        origin: Its present origin.
    """
    directory = cache.entry_directory(name)
    try:
        manifest = entry.read_manifest(directory)
        same_modules = manifest["token_modules"] == origin.token_modules
        same_tokens = manifest["version"] == origin.version and (origin.version or same_modules)
        if not same_tokens or manifest["digest"] != entry.task_digest(manifest):
            return
    except (OSError, ValueError, KeyError, TypeError):
        return  # missing or damaged
    manifest |= entry.scoring_fields(scoring)
    manifest["token_modules"] = dict(origin.token_modules)
    manifest["scoring_modules"] = dict(origin.scoring_modules)
    manifest["digest"] = entry.task_digest(manifest)
    _write_manifest(directory, manifest)


def check_writable(cache_dir: Path) -> None:
    """Creates a cache directory if it is missing, and checks that it can be written to.

    Raises:
        UserError: It cannot be created or written to.
    """
    with _writing(cache_dir):
        cache_dir.mkdir(parents=True, exist_ok=True)
        storage.check_writable(cache_dir)


@contextlib.contextmanager
def _new_entry(cache: Cache, name: str) -> Iterator[Path]:
    """Yields a directory to fill, which then becomes the entry of a task or mixture."""
    final = cache.entry_directory(name)
    with _writing(final.parent), storage.write_directory(final) as directory:
        yield directory


def _header(cache: Cache, kind: str, name: str) -> dict[str, Any]:
    return {
        "format_version": entry.FORMAT_VERSION,
        "kind": kind,
        "name": name,
        "vocabulary": cache.vocabulary.digest,
        "lengths": dict(cache.lengths),
    }


@contextlib.contextmanager
def _writing(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cache directory {cache_dir} cannot be written ({error.strerror or error}); "
            "choose another directory or free some space"
        ) from error


def _write_split(directory: Path, name: str, split: Tokenized) -> dict[str, Any]:
    files = []
    for feature, values in (("inputs", split.inputs), ("targets", split.targets)):
        tokens, offsets = entry.array_names(name, feature)
        np.save(directory / tokens, values.tokens.astype(np.int32, copy=False))
        np.save(directory / offsets, values.offsets.astype(np.int64, copy=False))
        files += [tokens, offsets]
    if split.fields is not None:
        files.append(entry.fields_name(name))
        with (directory / files[-1]).open("w", encoding="utf-8") as lines:
            for fields in split.fields:
                lines.write(json.dumps(fields, ensure_ascii=False) + "\n")
    return {
        "examples": len(split.inputs),
        "input_tokens": len(split.inputs.tokens),
        "target_tokens": len(split.targets.tokens),
        "files": {file: entry.file_record(directory / file) for file in files},
    }


def _write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    storage.write_bytes(directory / entry.MANIFEST, text.encode())
