"""Entries of a library: the metadata of its prompts, as kept in the index."""

import collections
import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import PREFIX
from prompt_tuning.types import UserError

SUFFIX = ".safetensors"
_DIGITS = 16  # of the content's digest in a file's name
_LONGEST = 120  # letters of the prompt's name in a file's name
_SHORT = 12  # digits of a digest in a message


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """The metadata of one prompt file of a library.

    Attributes:
        name: Unique name: the file's name without its suffix, which is the prompt's own name and
            the first 16 digits of the digest of the file's content.
        folder: The directory of the file.
        metadata: The prompt's metadata; see `files.Prompt`.
        shape: `(P, H)`.
        digest: `files.digest` of the prompt; prompts tuned from it record it as their `init`.
        has_embedding: Whether the file holds a task embedding.
        size: Size of the file in bytes.
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
        """The first 16 digits of the digest of the file's content."""
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
        """Its placement among the inputs; in front where its file does not record one."""
        return self.metadata.get("placement", PREFIX)

    @property
    def size_text(self) -> str:
        """Its length and width, and its placement unless that is in front."""
        length, width = self.shape
        elsewhere = "" if self.placement == PREFIX else f" {self.placement}"
        return f"{length} x {width}{elsewhere}"

    @property
    def metrics(self) -> dict[str, float]:
        """Its finite scores, by metric."""
        try:
            metrics = json.loads(self.metadata.get("metrics", "{}"))
            values = {name: float(value) for name, value in metrics.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return {}
        return {name: value for name, value in values.items() if math.isfinite(value)}


def search_key(prompt: files.Prompt) -> np.ndarray:
    """Returns the array that searches compare, `[P, H]`: the task embedding, or else the prompt."""
    return prompt.array if prompt.embedding is None else prompt.embedding


def entry_of(prompt: files.Prompt, folder: Path, size: int) -> Entry:
    """Returns the entry of a prompt whose file in `folder` has `size` bytes.

    In its name, `_` replaces all but ASCII letters, digits and `.+=-_`, so that the path never
    leaves the folder.
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
        UserError: It cannot be read, is damaged, or does not match its name.
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
    """Counts the prompts that are not in front of the inputs, as ", 2 of them suffix_after_eos".

    Returns an empty text where all are.
    """
    counts = collections.Counter(entry.placement for entry in entries)
    return "".join(
        f", {count} of them {placement}"
        for placement, count in sorted(counts.items())
        if placement != PREFIX
    )


def check_alike(like: files.Prompt, entries: Sequence[Entry]) -> None:
    """Checks that prompts are of one backbone and width, as far as their metadata says.

    Args:
        like: A prompt.
        entries: The prompts to compare it with.

    Raises:
        UserError: Two prompts differ; the message names both.
    """
    known = [entry_of(like, Path(), 0)]
    for entry in entries:
        other = next((one for one in known if _differ(one, entry)), None)
        if other is not None:
            raise UserError(
                f"prompt {other.label or 'without metadata'} is of {_backbone(other)}, but prompt "
                f"{entry.label} is of {_backbone(entry)}: they cannot be compared; search among "
                "prompts of one backbone"
            )
        if entry.backbone_digest and not any(other.backbone_digest for other in known):
            known.append(entry)


def _differ(one: Entry, other: Entry) -> bool:
    """Returns whether backbones or widths differ; by name where a digest is missing."""
    if one.shape[1] != other.shape[1]:
        return True
    if one.backbone_digest and other.backbone_digest:
        return one.backbone_digest != other.backbone_digest
    return bool(one.backbone and other.backbone) and one.backbone != other.backbone


def _backbone(entry: Entry) -> str:
    name, digest = entry.backbone or "an unknown backbone", entry.backbone_digest[:_SHORT]
    return f"{name} (digest {digest or 'unknown'}, width {entry.shape[1]})"
