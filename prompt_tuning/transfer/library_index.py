"""The index of a library: what is known of its prompt files, kept so that none is read again.

It is a cache. The file `index.safetensors` holds the entries as JSON and, for each similarity and
width, the matrix of the prompts' signatures. Where it is missing or of no use, it is made anew.
"""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from prompt_tuning.transfer import library_entry
from prompt_tuning.transfer.library_entry import SUFFIX, Entry
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.types import UserError

FORMAT_VERSION = "1"
_ENTRIES = "entries"
_MANY = 200  # files; reading more takes long enough to show how far it is


class Index:
    """Entries, and the matrices of their signatures, which are fetched when they are asked for.

    Args:
        entries: Entries; those of one width have their signatures in this order.
        matrix: Returns the matrix of signatures `[N, H]` of a name such as `mean_token.768`.
    """

    def __init__(self, entries: Sequence[Entry], matrix: Callable[[str], np.ndarray]):
        self.entries = {entry.name: entry for entry in entries}
        self._matrix = matrix
        self._rows: dict[str, int] = {}
        counts: dict[int, int] = {}
        for name, entry in self.entries.items():
            width = entry.shape[1]
            self._rows[name] = counts.get(width, 0)
            counts[width] = self._rows[name] + 1
        self.counts: Mapping[int, int] = counts

    def signatures(self, entries: Sequence[Entry], similarity: str) -> np.ndarray:
        """Returns the signatures `[N, H]` of N entries of one width, one at least."""
        matrix = self._matrix(_matrix_name(similarity, entries[0].shape[1]))
        rows = [self._rows[entry.name] for entry in entries]
        return matrix if rows == list(range(len(matrix))) else matrix[rows]


EMPTY = Index([], {}.__getitem__)


def read(path: Path, folder: Path) -> Index:
    """Reads the index of the prompt files of `folder`; an empty one where there is none of use."""
    try:
        file = safetensors.safe_open(path, framework="numpy")
        if (file.metadata() or {}).get("format_version") != FORMAT_VERSION:
            return EMPTY
        rows = json.loads(file.get_tensor(_ENTRIES).tobytes())
        index = Index([_from_json(folder, *row) for row in rows], file.get_tensor)
        for width, count in index.counts.items():
            for similarity in SIMILARITIES:
                found = file.get_slice(_matrix_name(similarity, width)).get_shape()
                if found != [count, width]:
                    return EMPTY
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError):
        return EMPTY
    return index


def write(index: Index, path: Path) -> None:
    """Writes an index, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    rows = [_to_json(entry) for entry in index.entries.values()]
    text = json.dumps(rows, separators=(",", ":")).encode()
    tensors = {_ENTRIES: np.frombuffer(text, np.uint8)} | _matrices(index.entries.values(), index)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(safetensors.numpy.save(tensors, {"format_version": FORMAT_VERSION}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def updated(
    index: Index, names: Iterable[str], folder: Path, left_out: Callable[[UserError], None]
) -> Index:
    """Returns the index of the prompts that are there now; reads only the files that it lacks.

    Args:
        index: The index of prompts that were there before.
        names: The names of the prompt files that are there, without suffixes.
        folder: Their directory.
        left_out: Told why a file is not in the index: it is damaged, or does not hold what its name
            says.
    """
    there = set(names)
    kept = [entry for name, entry in index.entries.items() if name in there]
    new: dict[str, Entry] = {}
    signatures: dict[str, list[np.ndarray]] = {}
    for path in _shown([folder / f"{name}{SUFFIX}" for name in sorted(there - {*index.entries})]):
        try:
            entry, prompt = library_entry.read(path)
        except UserError as error:
            left_out(error)
            continue
        new[entry.name] = entry
        for name, signature in SIMILARITIES.items():
            rows = signatures.setdefault(_matrix_name(name, entry.shape[1]), [])
            rows.append(signature(library_entry.key(prompt)))
    if not new and len(kept) == len(index.entries):
        return index
    matrices = _matrices(kept, index)
    for name, rows in signatures.items():
        old = [matrices[name]] if name in matrices else []
        matrices[name] = np.concatenate([*old, np.stack(rows)], dtype=np.float32)
    return Index([*kept, *new.values()], matrices.__getitem__)


def differences(index: Index, other: Index) -> list[str]:
    """Returns the names of entries that two indexes have, but know different things of."""
    names = [name for name in index.entries if name in other.entries]
    wrong = [n for n in names if _to_json(index.entries[n]) != _to_json(other.entries[n])]
    same = [index.entries[name] for name in names if name not in wrong]
    ours, others = _matrices(same, index), _matrices(same, other)
    for width in {entry.shape[1] for entry in same}:
        of_width = [entry.name for entry in same if entry.shape[1] == width]
        equal = np.ones(len(of_width), bool)
        for similarity in SIMILARITIES:
            name = _matrix_name(similarity, width)
            equal &= np.isclose(ours[name], others[name], rtol=0, atol=1e-5).all(axis=1)
        wrong += [name for name, is_equal in zip(of_width, equal, strict=True) if not is_equal]
    return wrong


def _matrix_name(similarity: str, width: int) -> str:
    return f"{similarity}.{width}"


def _matrices(entries: Iterable[Entry], index: Index) -> dict[str, np.ndarray]:
    """Returns the matrices of some entries of an index."""
    by_width: dict[int, list[Entry]] = {}
    for entry in entries:
        by_width.setdefault(entry.shape[1], []).append(entry)
    return {
        _matrix_name(similarity, width): index.signatures(of_width, similarity)
        for width, of_width in by_width.items()
        for similarity in SIMILARITIES
    }


def _to_json(entry: Entry) -> list:
    return [
        entry.name,
        dict(entry.metadata),
        entry.shape,
        entry.digest,
        entry.has_embedding,
        entry.size,
    ]


def _from_json(
    folder: Path,
    name: str,
    metadata: dict[str, str],
    shape: Sequence[int],
    digest: str,
    has_embedding: bool,
    size: int,
) -> Entry:
    length, width = shape
    return Entry(
        name=name,
        folder=folder,
        metadata=metadata,
        shape=(length, width),
        digest=digest,
        has_embedding=has_embedding,
        size=size,
    )


def _shown(paths: Sequence[Path]) -> Iterator[Path]:
    """Yields paths; shows how far it is where they are many and somebody looks on."""
    if len(paths) <= _MANY:
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    off = not console.is_terminal
    yield from track(paths, "indexing the library", console=console, transient=True, disable=off)
