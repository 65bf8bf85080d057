"""The index of a library: what is known of its prompt files, kept so that none is read again.

It is a cache. The file `index.safetensors` holds the entries as JSON and, for each similarity and
width, the matrix of the prompts' signatures. Where it is missing or of no use, it is made anew.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from prompt_tuning.storage import write_file
from prompt_tuning.transfer.library.entry import SUFFIX, Entry, read_entry, search_key
from prompt_tuning.transfer.similarity import SIMILARITIES
from prompt_tuning.types import UserError

FORMAT_VERSION = "1"
_ENTRIES = "entries"
_ROUNDING = 1e-5  # by which signatures of one prompt may differ between machines
_MANY = 200  # files; reading more takes long enough to show how far it is


class Index:
    """Entries and their signatures.

    Args:
        entries: Entries.
        matrices: For each similarity and width, the signatures `[N, H]` of the entries of that
            width, in their order, under names such as `mean_token.768`.
    """

    def __init__(self, entries: Iterable[Entry], matrices: Mapping[str, np.ndarray]):
        self.entries = {entry.name: entry for entry in entries}
        self._matrices = matrices
        self._rows: dict[str, int] = {}
        for of_width in _by_width(self.entries.values()).values():
            self._rows |= {entry.name: row for row, entry in enumerate(of_width)}

    def signatures(self, entries: Sequence[Entry], similarity: str) -> np.ndarray:
        """Returns the signatures `[N, H]` of N entries of one width, one at least."""
        matrix = self._matrices[_matrix_name(similarity, entries[0].shape[1])]
        return matrix[[self._rows[entry.name] for entry in entries]]

    def matrices(self, entries: Iterable[Entry]) -> dict[str, np.ndarray]:
        """Returns all signatures of some entries, as `matrices` of an index of them alone."""
        return {
            _matrix_name(similarity, width): self.signatures(of_width, similarity)
            for width, of_width in _by_width(entries).items()
            for similarity in SIMILARITIES
        }


def empty_index() -> Index:
    """Returns the index of no prompts."""
    return Index([], {})


def read_index(path: Path, folder: Path) -> Index:
    """Reads the index of the prompt files of `folder`; an empty one where there is none of use."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("format_version") != FORMAT_VERSION:
                return empty_index()
            names = file.keys()
            matrices = {name: file.get_tensor(name) for name in names}
        rows = json.loads(matrices.pop(_ENTRIES).tobytes())
        entries = [_from_json(folder, *row) for row in rows]
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError, RecursionError):
        return empty_index()
    shapes = {
        _matrix_name(similarity, width): (len(of_width), width)
        for width, of_width in _by_width(entries).items()
        for similarity in SIMILARITIES
    }
    fits = shapes == {name: matrix.shape for name, matrix in matrices.items()}
    return Index(entries, matrices) if fits else empty_index()


def write_index(index: Index, path: Path) -> None:
    """Writes an index, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    rows = [_to_json(entry) for entry in index.entries.values()]
    text = json.dumps(rows, separators=(",", ":")).encode()
    matrices = index.matrices(index.entries.values())
    tensors = {_ENTRIES: np.frombuffer(text, np.uint8), **matrices}
    with write_file(path) as file:
        file.write(safetensors.numpy.save(tensors, {"format_version": FORMAT_VERSION}))


def updated_index(
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
    old = [entry for name, entry in index.entries.items() if name in there]
    new: list[Entry] = []
    signatures: dict[str, list[np.ndarray]] = {}
    for path in _shown([folder / f"{name}{SUFFIX}" for name in sorted(there - {*index.entries})]):
        try:
            entry, prompt = read_entry(path)
        except UserError as error:
            left_out(error)
            continue
        new.append(entry)
        for name, signature in SIMILARITIES.items():
            rows = signatures.setdefault(_matrix_name(name, entry.shape[1]), [])
            rows.append(signature(search_key(prompt)))
    if not new and len(old) == len(index.entries):
        return index
    matrices = index.matrices(old)
    for name, rows in signatures.items():
        above = [matrices[name]] if name in matrices else []
        matrices[name] = np.concatenate([*above, np.stack(rows)], dtype=np.float32)
    return Index([*old, *new], matrices)


def differences(index: Index, other: Index) -> list[str]:
    """Returns the names of entries that two indexes have, but know different things of."""
    names = [name for name in index.entries if name in other.entries]
    ours, theirs = ([one.entries[name] for name in names] for one in (index, other))
    wrong = {a.name for a, b in zip(ours, theirs, strict=True) if _to_json(a) != _to_json(b)}
    same = [entry for entry in ours if entry.name not in wrong]
    for of_width in _by_width(same).values():
        for similarity in SIMILARITIES:
            pair = [one.signatures(of_width, similarity) for one in (index, other)]
            differ = np.abs(pair[0] - pair[1]).max(axis=-1) > _ROUNDING
            wrong |= {of_width[row].name for row in np.flatnonzero(differ)}
    return sorted(wrong)


def _matrix_name(similarity: str, width: int) -> str:
    return f"{similarity}.{width}"


def _by_width(entries: Iterable[Entry]) -> dict[int, list[Entry]]:
    of_width: dict[int, list[Entry]] = {}
    for entry in entries:
        of_width.setdefault(entry.shape[1], []).append(entry)
    return of_width


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
