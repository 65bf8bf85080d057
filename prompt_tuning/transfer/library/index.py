"""The index of a library: a cache of its entries and signatures.

The file `index.safetensors` holds the entries as JSON and, for each similarity and width, the
matrix of the prompts' signatures. It is rebuilt where it is missing, damaged or outdated.
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
_MANY = 200  # files; reading more shows a progress bar


class Index:
    """Entries and their signatures.

    Args:
        entries: Entries.
        matrices: By similarity and width, as in `mean_token.768`: the signatures `[N, H]` of the
            entries of that width, in order.
    """

    def __init__(self, entries: Iterable[Entry], matrices: Mapping[str, np.ndarray]):
        self.entries = {entry.name: entry for entry in entries}
        self._matrices = matrices
        self._rows: dict[str, int] = {}
        for of_width in _by_width(self.entries.values()).values():
            self._rows |= {entry.name: row for row, entry in enumerate(of_width)}

    def signatures(self, entries: Sequence[Entry], similarity: str) -> np.ndarray:
        """Returns the signatures `[N, H]` of N >= 1 entries of one width."""
        matrix = self._matrices[_matrix_name(similarity, entries[0].shape[1])]
        return matrix[[self._rows[entry.name] for entry in entries]]

    def matrices(self, entries: Iterable[Entry]) -> dict[str, np.ndarray]:
        """Returns the `matrices` of an index of some entries."""
        return {
            _matrix_name(similarity, width): self.signatures(of_width, similarity)
            for width, of_width in _by_width(entries).items()
            for similarity in SIMILARITIES
        }


def empty_index() -> Index:
    """Returns an index without entries."""
    return Index([], {})


def read_index(path: Path, folder: Path) -> Index:
    """Reads the index of the prompt files in `folder`; an empty one if it is missing or damaged."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            if (file.metadata() or {}).get("format_version") != FORMAT_VERSION:
                return empty_index()
            names = file.keys()
            matrices = {name: file.get_tensor(name) for name in names}
        entries = [
            _from_json(folder, item) for item in json.loads(matrices.pop(_ENTRIES).tobytes())
        ]
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
    """Writes an index atomically.

    Raises:
        OSError: It cannot be written.
    """
    items = [_to_json(entry) for entry in index.entries.values()]
    text = json.dumps(items, separators=(",", ":")).encode()
    matrices = index.matrices(index.entries.values())
    tensors = {_ENTRIES: np.frombuffer(text, np.uint8), **matrices}
    with write_file(path) as file:
        file.write(safetensors.numpy.save(tensors, {"format_version": FORMAT_VERSION}))


def updated_index(
    index: Index, names: Iterable[str], folder: Path, left_out: Callable[[UserError], None]
) -> Index:
    """Returns the index of the present prompt files; reads only those that `index` lacks.

    Args:
        index: The previous index.
        names: The names of the present prompt files, without suffixes.
        folder: Their directory.
        left_out: Called with the error of each file that is damaged or does not match its name.
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
            matrix_name = _matrix_name(name, entry.shape[1])
            signatures.setdefault(matrix_name, []).append(signature(search_key(prompt)))
    if not new and len(old) == len(index.entries):
        return index
    matrices = index.matrices(old)
    for name, added in signatures.items():
        known = [matrices[name]] if name in matrices else []
        matrices[name] = np.concatenate([*known, np.stack(added)], dtype=np.float32)
    return Index([*old, *new], matrices)


def differences(index: Index, other: Index) -> list[str]:
    """Returns the names of the entries that differ between two indexes."""
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
    fields = (entry.name, dict(entry.metadata), entry.shape)
    return [*fields, entry.digest, entry.has_embedding, entry.size]


def _from_json(folder: Path, item: list) -> Entry:
    name, metadata, (length, width), digest, has_embedding, size = item
    return Entry(name, folder, metadata, (length, width), digest, has_embedding, size)


def _shown(paths: Sequence[Path]) -> Iterator[Path]:
    """Yields paths, with a progress bar on a terminal if there are many."""
    if len(paths) <= _MANY:
        yield from paths
        return
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    off = not console.is_terminal
    yield from track(paths, "indexing the library", console=console, transient=True, disable=off)
