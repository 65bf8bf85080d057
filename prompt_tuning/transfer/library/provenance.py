"""The provenance of a prompt: the prompts of a library that it was tuned from."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Literal

from prompt_tuning.transfer.library.entry import Entry

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Provenance:
    """The chain of prompts that a prompt was tuned from.

    Attributes:
        sources: The prompt it was tuned from, that prompt's own source, and so on.
        start: The start of the last one (or, without sources, of the prompt itself): the name of
            an initializer, or the digest of a prompt.
        end: Why the chain ends: at an `initializer`, at a prompt that is `absent` from the library,
            or in a `circle`, at a prompt that is already in the chain.
    """

    sources: tuple[Entry, ...]
    start: str
    end: Literal["initializer", "absent", "circle"]


def provenance(entry: Entry, entries: Iterable[Entry]) -> Provenance:
    """Follows a prompt to its start, by the digests that prompts record as their `init`.

    Args:
        entry: The prompt.
        entries: All prompts of its library.
    """
    by_digest: dict[str, list[Entry]] = {}
    for other in entries:
        by_digest.setdefault(other.digest, []).append(other)
    chain = [entry]
    while True:
        last = chain[-1]
        start = last.metadata.get("init", "")
        if not _DIGEST.fullmatch(start):
            return Provenance(tuple(chain[1:]), start, "initializer")
        # A prompt that tuning did not improve has the digest of its source.
        sources = [source for source in by_digest.get(start, []) if source.name != last.name]
        seen = {link.name for link in chain}
        new = [source for source in sources if source.name not in seen]
        if not new:
            end = "circle" if sources else "absent"
            return Provenance(tuple(chain[1:]), start, end)
        chain.append(min(new, key=_likeliest))


def _likeliest(entry: Entry) -> tuple[bool, str, str]:
    """Sort key of equal prompts: a prompt comes after the one it started from."""
    unimproved = entry.metadata.get("init") == entry.digest
    return unimproved, entry.metadata.get("created", ""), entry.name
