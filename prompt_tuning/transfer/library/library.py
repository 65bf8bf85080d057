"""A prompt library: a directory of prompt files that never change, and an index of them.

Each prompt file is named for its content and written once, so any number of processes can add
prompts without locks, and a copy of the directory is a copy of the library. The index is a cache
that readers bring up to date.
"""

import contextlib
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from prompt_tuning import storage
from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.entry import (
    SUFFIX,
    Entry,
    check_alike,
    entry_of,
    read_entry,
    search_key,
)
from prompt_tuning.transfer.library.index import (
    Index,
    differences,
    empty_index,
    read_index,
    updated_index,
    write_index,
)
from prompt_tuning.transfer.similarity import find_similarity, ranked
from prompt_tuning.types import UserError, nearest

_FEWEST = 4  # digits that can stand for a digest
_NAMED = 4  # prompts listed in a message


class Library:
    """A library of prompts in a directory.

    Args:
        path: Its directory.

    Raises:
        UserError: The directory does not exist, or is not a library.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = _named(path)
        self._index = empty_index()
        try:
            there, is_file = self._folder.is_dir(), self.path.is_file()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if is_file:
            raise UserError(f"library {self.path}: it is a file; give the directory of a library")
        if not there:
            raise UserError(
                f"there is no library at {self.path}; prompt-tuning library add {self.path} PATH "
                "creates one"
            )

    @classmethod
    def create(cls, path: str | os.PathLike) -> "Library":
        """Opens the library at `path`, and creates an empty one if there is none.

        Raises:
            UserError: It cannot be created, or something else is at `path`.
        """
        path = _named(path)
        try:
            (path / "prompts").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"library {path}: cannot create it ({error.strerror}); give a directory of your own"
            ) from error
        return cls(path)

    def add(self, prompts: Iterable[files.Prompt]) -> list[Entry]:
        """Writes the prompts that the library lacks, and returns the entries of all of them.

        Each file is written atomically; other processes may write at the same time.

        Raises:
            UserError: A prompt is not a finite `[P, H]` array, or cannot be written.
        """
        self._names()
        for folder in (self.path, self._folder):
            storage.remove_abandoned(folder)
        return [self._add(prompt) for prompt in prompts]

    def entries(self) -> list[Entry]:
        """Returns the entries of all prompts, sorted by name, and updates the index.

        Warns of damaged files and leaves them out.
        """
        names = self._names()
        if self._index.entries.keys() != names:
            if not self._index.entries:
                self._index = read_index(self._index_file, self._folder)
            index = updated_index(self._index, names, self._folder, _warn)
            if index is not self._index:
                self._keep(index)
        return [self._index.entries[name] for name in sorted(self._index.entries)]

    def select(
        self,
        *,
        task: str | None = None,
        backbone: str | None = None,
        metric: str | None = None,
        at_least: float | None = None,
    ) -> list[Entry]:
        """Returns the entries that match all given conditions, sorted by name.

        Args:
            task: The task or mixture.
            backbone: The backbone's name, or the beginning of its digest.
            metric: A metric that the prompts must have.
            at_least: The least value of that metric.
        """

        def fits(entry: Entry) -> bool:
            if task is not None and entry.task != task:
                return False
            if backbone is not None and not _is_of(backbone, entry):
                return False
            value = entry.metrics.get(metric) if metric else None
            least = -math.inf if at_least is None else at_least
            return not metric or (value is not None and value >= least)

        return [entry for entry in self.entries() if fits(entry)]

    def find(self, text: str) -> Entry:
        """Returns the one prompt that a text identifies.

        Args:
            text: The name of an entry, the prompt's own name, the beginning of the entry's name, or
                at least the first 4 digits of its content's or the prompt's digest.

        Raises:
            UserError: The text is empty, or matches no prompt or several.
        """
        if not text:
            raise UserError(f"library {self.path}: the name of a prompt is empty; give one")
        entries = self.entries()
        ways = (
            lambda entry: entry.name == text,
            lambda entry: entry.label == text,
            lambda entry: entry.name.startswith(text),
            lambda entry: (
                len(text) >= _FEWEST
                and (entry.content.startswith(text) or entry.digest.startswith(text))
            ),
        )
        for way in ways:
            matching = [entry for entry in entries if way(entry)]
            if len(matching) == 1:
                return matching[0]
            if matching:
                names = ", ".join(entry.name for entry in matching[:_NAMED])
                more = ", ..." if len(matching) > _NAMED else ""
                raise UserError(
                    f"library {self.path}: '{text}' matches {len(matching)} prompts; give one of "
                    f"{names}{more}"
                )
        known = {entry.label for entry in entries}
        raise UserError(f"library {self.path} has no prompt '{text}'{nearest(text, known)}")

    def load(self, entry: Entry) -> files.Prompt:
        """Reads a prompt.

        Raises:
            UserError: Its file is missing or damaged.
        """
        return read_entry(entry.path)[1]

    def search(
        self, like: files.Prompt, entries: Sequence[Entry], similarity: str
    ) -> list[tuple[Entry, float]]:
        """Returns entries with their similarities to a prompt, most similar first.

        Compares task embeddings, or the prompts themselves where they have none.

        Args:
            like: The prompt to compare with.
            entries: Entries of this library.
            similarity: A name of `SIMILARITIES`.

        Raises:
            UserError: Two prompts are of different backbones or widths, or no similarity has that
                name.
        """
        signature = find_similarity(similarity)
        if not entries:
            return []
        check_alike(like, entries)
        if any(entry.name not in self._index.entries for entry in entries):
            self.entries()
        values = self._index.signatures(entries, similarity) @ signature(search_key(like))
        return [(entries[i], float(values[i])) for i in ranked(values)]

    def has(self, entry: Entry) -> bool:
        """Returns whether a prompt's file exists at its full length; warns if not."""
        try:
            # Text, because making ten thousand Paths takes longer than the check itself.
            there = os.stat(f"{entry.folder}/{entry.name}{SUFFIX}").st_size == entry.size
        except OSError:
            there = False
        if not there:
            _warn(f"prompt file {entry.path}: damaged, or gone since the index was made")
        return there

    def verify(self) -> list[str]:
        """Reads every prompt file, rebuilds the index, and returns the problems found in both."""
        problems: list[str] = []
        index = updated_index(
            empty_index(),
            self._names(),
            self._folder,
            lambda error: problems.append(str(error)),
        )
        old = read_index(self._index_file, self._folder)
        problems += [
            f"index {self._index_file}: it was wrong about {name}"
            for name in differences(old, index)
        ]
        self._keep(index)
        return problems

    @property
    def _folder(self) -> Path:
        return self.path / "prompts"

    @property
    def _index_file(self) -> Path:
        return self.path / "index.safetensors"

    def _names(self) -> set[str]:
        """Returns the names of the prompt files; reads the directory once."""
        names, folders = set(), 0
        try:
            with os.scandir(self._folder) as contents:
                for file in contents:
                    if file.name.endswith(SUFFIX) and not file.name.startswith("."):
                        names.add(file.name.removesuffix(SUFFIX))
                    else:
                        folders += file.is_dir()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if folders and not names:
            raise UserError(
                f"{self.path} is a run's directory, not a library; put its prompts in one with "
                f"prompt-tuning library add LIBRARY {self.path}"
            )
        return names

    def _add(self, prompt: files.Prompt) -> Entry:
        entry = entry_of(prompt, self._folder, 0)
        try:
            return read_entry(entry.path)[0]
        except UserError:  # Missing or damaged; writing it repairs it.
            files.save(entry.path, prompt)
            return entry

    def _keep(self, index: Index) -> None:
        self._index = index
        # A read-only library can still be read.
        with contextlib.suppress(OSError):
            write_index(index, self._index_file)


def _named(path: str | os.PathLike) -> Path:
    """Returns a path; refuses an empty one, as from an unset shell variable."""
    if not os.fspath(path):
        raise UserError("the path of the library is empty; give its directory")
    return Path(path).expanduser()


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"library {path}: cannot read it ({error.strerror}); give another one")


def _warn(problem: object) -> None:
    warnings.warn(f"{problem}; it is left out", stacklevel=3)


def _is_of(backbone: str, entry: Entry) -> bool:
    """Returns whether a name, or the beginning of a digest, is that of an entry's backbone."""
    return entry.backbone == backbone or bool(
        backbone and entry.backbone_digest.startswith(backbone)
    )
