"""Writes entries of the tokenized cache, whole or not at all."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning import storage
from prompt_tuning.data.cache import entry
from prompt_tuning.data.cache.entry import DataFile
from prompt_tuning.data.ragged import Ragged
from prompt_tuning.data.references import Scoring
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError


class Tokenized(NamedTuple):
    """Holds a split to be written.

    Attributes:
        inputs: Token ids of the inputs.
        targets: Token ids of the targets.
        fields: The other fields of each example, or None to leave them out.
    """

    inputs: Ragged
    targets: Ragged
    fields: Sequence[Mapping[str, Any]] | None


class Origin(NamedTuple):
    """Says what an entry was made from.

    Attributes:
        declared_in: The module of the package that declares the task; None for a user's own.
        version: The version of its tokens; None for a user's task that has none.
        token_modules: SHA-256 of the files of a user's modules that decide the tokens, by module.
        scoring_modules: The same of those with metrics and postprocessors alone.
        data_files: The local files that its examples came from, or would if they were there.
    """

    declared_in: str | None = None
    version: str | None = None
    token_modules: Mapping[str, str] = MappingProxyType({})
    scoring_modules: Mapping[str, str] = MappingProxyType({})
    data_files: Sequence[DataFile] = ()

    def fields(self) -> dict[str, Any]:
        """Returns it as fields of a manifest."""
        return {
            "declared_in": self.declared_in,
            "version": self.version,
            "token_modules": dict(self.token_modules),
            "scoring_modules": dict(self.scoring_modules),
            "data_files": list(self.data_files),
        }


def write_task(
    cache_dir: str | Path,
    name: str,
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    *,
    splits: Mapping[str, Tokenized],
    scoring: Scoring,
    origin: Origin,
    stream: str | None = None,
) -> Path:
    """Writes the entry of a task and returns its directory.

    Args:
        cache_dir: The cache directory.
        name: The SeqIO task.
        vocabulary: What it is tokenized with.
        lengths: The most tokens kept, by feature.
        splits: Its splits, but for a streamed one.
        scoring: Its metrics, its postprocessor and with it the label words.
        origin: What it was made from.
        stream: Where the examples of its training split are from, where that is streamed.

    Raises:
        UserError: The directory cannot be written.
    """
    final = entry.entry_directory(cache_dir, name, vocabulary, lengths)
    with _whole_directory(final) as directory:
        manifest: dict[str, Any] = {
            "format_version": entry.FORMAT_VERSION,
            "kind": "task",
            "name": name,
            "vocabulary": vocabulary.digest,
            "lengths": dict(lengths),
            "stream": stream,
            "splits": {split: _write_split(directory, split, splits[split]) for split in splits},
            **entry.scoring_fields(scoring),
            **origin.fields(),
        }
        manifest["digest"] = entry.task_digest(manifest)
        _write_manifest(directory, manifest)
    return final


def write_mixture(
    cache_dir: str | Path,
    name: str,
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    *,
    rates: Mapping[str, float],
    origin: Origin,
) -> Path:
    """Writes the entry of a mixture, whose tasks have entries of their own."""
    final = entry.entry_directory(cache_dir, name, vocabulary, lengths)
    with _whole_directory(final) as directory:
        manifest = {
            "format_version": entry.FORMAT_VERSION,
            "kind": "mixture",
            "name": name,
            "vocabulary": vocabulary.digest,
            "lengths": dict(lengths),
            "rates": dict(rates),
            **origin.fields(),
        }
        _write_manifest(directory, manifest)
    return final


def renew_task(
    cache_dir: str | Path,
    name: str,
    vocabulary: Vocabulary,
    lengths: Mapping[str, int],
    *,
    scoring: Scoring,
    origin: Origin,
) -> None:
    """Notes the present scoring and modules in an entry whose tokens they do not change, if any.

    They do not where the source of a user's task has the same version, or where the modules that
    decide its tokens are the same.
    """
    directory = entry.entry_directory(cache_dir, name, vocabulary, lengths)
    try:
        manifest = entry.read_manifest(directory)
        same_modules = manifest["token_modules"] == origin.token_modules
        same_tokens = manifest["version"] == origin.version and (origin.version or same_modules)
        if not same_tokens or manifest["digest"] != entry.task_digest(manifest):
            return
    except (OSError, ValueError, KeyError, TypeError):
        return  # there is none, or it is damaged
    manifest |= entry.scoring_fields(scoring)
    manifest["token_modules"] = dict(origin.token_modules)
    manifest["scoring_modules"] = dict(origin.scoring_modules)
    manifest["digest"] = entry.task_digest(manifest)
    _write_manifest(directory, manifest)


def check_writable(cache_dir: str | Path) -> None:
    """Makes the cache directory.

    Raises:
        UserError: It cannot be made or written to.
    """
    with _writing(Path(cache_dir)):
        Path(cache_dir).mkdir(parents=True, exist_ok=True)
        storage.check_writable(Path(cache_dir))


@contextlib.contextmanager
def _whole_directory(final: Path) -> Iterator[Path]:
    """Gives a directory to fill, which takes the place of `final` once it is complete."""
    with _writing(final.parent), storage.write_directory(final) as directory:
        yield directory


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
