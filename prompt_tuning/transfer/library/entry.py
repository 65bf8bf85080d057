"""A prompt of a library, as far as its index knows it."""

import collections
import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import PREFIX
from prompt_tuning.types import UserError

SUFFIX = ".safetensors"
_DIGITS = 16  # of the content's digest in a file's name
_LONGEST = 120  # letters of a file's name that come from the prompt's


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A prompt file of a library, and what is known of it without reading it again.

    Attributes:
        name: The file's name without its suffix: the prompt's own name, and the first 16 digits of
            the digest of all that the file holds. No two prompts share one.
        folder: The directory of the file.
        metadata: The prompt's metadata; see `files.Prompt`.
        shape: `(P, H)`.
        digest: `files.digest` of the prompt, by which prompts tuned from it know it.
        has_embedding: Whether it holds a task embedding.
        size: Bytes of the file.
    """

    name: str
    folder: Path
    metadata: Mapping[str, str]
    shape: tuple[int, int]
    digest: str
    has_embedding: bool
    size: int

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.name}{SUFFIX}"

    @property
    def label(self) -> str:
        """The prompt's own name, which others may share."""
        return self.metadata.get("name", "")

    @property
    def content(self) -> str:
        """The first 16 digits of the digest of all that the file holds."""
        return self.name[-_DIGITS:]

    @property
    def task(self) -> str:
        """The task or mixture it was tuned on."""
        return self.metadata.get("task", "")

    @property
    def backbone(self) -> str:
        """The frozen model's name."""
        return self.metadata.get("backbone", "")

    @property
    def backbone_digest(self) -> str:
        """The digest of the frozen model's embedding table."""
        return self.metadata.get("backbone_digest", "")

    @property
    def placement(self) -> str:
        """Where it stands among the inputs; in front where its file does not say."""
        return self.metadata.get("placement", PREFIX)

    @property
    def size_text(self) -> str:
        """Its length and width, and where it stands among the inputs if that is not in front."""
        length, width = self.shape
        elsewhere = "" if self.placement == PREFIX else f" {self.placement}"
        return f"{length} x {width}{elsewhere}"

    @property
    def metrics(self) -> dict[str, float]:
        """Its scores; those that are no finite numbers are left out."""
        try:
            metrics = json.loads(self.metadata.get("metrics", "{}"))
            values = {name: float(value) for name, value in metrics.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}
        return {name: value for name, value in values.items() if math.isfinite(value)}


def search_key(prompt: files.Prompt) -> np.ndarray:
    """Returns what a prompt is found by, `[P, H]`: its task embedding, or else itself."""
    return prompt.array if prompt.embedding is None else prompt.embedding


def entry_of(prompt: files.Prompt, folder: Path, size: int) -> Entry:
    """Returns the entry of a prompt whose file in `folder` has `size` bytes.

    Its name has `_` for what is no plain letter, digit or one of `.+=-_`, so that it never leads
    out of the folder.
    """
    digest = files.digest(prompt.array)
    metadata = files.written_metadata(prompt)
    length, width = prompt.array.shape
    content = {
        "embedding": None if prompt.embedding is None else files.digest(prompt.embedding),
        "metadata": metadata,
        "prompt": digest,
        "shape": [length, width],
    }
    if prompt.trainable:
        content["trainable"] = {
            name: [str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
            for name, value in prompt.trainable.items()
        }
    text = json.dumps(content, sort_keys=True).encode()
    last = hashlib.sha256(text).hexdigest()[:_DIGITS]
    plain = re.sub(r"[^A-Za-z0-9.+=_-]+", "_", metadata.get("name", "")).lstrip(".-")
    return Entry(
        name=f"{plain[:_LONGEST] or 'prompt'}-{last}",
        folder=folder,
        metadata=metadata,
        shape=(length, width),
        digest=digest,
        has_embedding=prompt.embedding is not None,
        size=size,
    )


def read_entry(path: Path) -> tuple[Entry, files.Prompt]:
    """Reads a prompt file of a library.

    Raises:
        UserError: It cannot be read, is damaged, or holds something other than its name says.
    """
    prompt = files.load(path)
    entry = entry_of(prompt, path.parent, path.stat().st_size)
    if not path.name.endswith(f"-{entry.content}{SUFFIX}"):
        raise UserError(
            f"prompt file {path}: it is damaged, or not from a library: its name should end in "
            f"-{entry.content}{SUFFIX}"
        )
    return dataclasses.replace(entry, name=path.name.removesuffix(SUFFIX)), prompt


def placements(entries: Iterable[Entry]) -> str:
    """Counts the prompts that do not stand in front of the inputs: ", 2 of them suffix_after_eos".

    It is empty where all do.
    """
    counts = collections.Counter(entry.placement for entry in entries)
    return "".join(
        f", {count} of them {placement}"
        for placement, count in sorted(counts.items())
        if placement != PREFIX
    )
