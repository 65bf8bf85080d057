"""Where a prompt comes from: the prompts of a library that it was tuned from."""

import dataclasses
import re
from collections.abc import Iterable
from typing import Literal

from prompt_tuning.transfer.library.entry import Entry

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Provenance:
    """The sources of a prompt.

    Attributes:
        sources: The prompt that it was tuned from, the one that this was tuned from, and so on.
        start: How the last of them began (without any, the prompt itself): the name of an
            initializer, or the digest of a prompt.
        end: Why the chain ends: at an `initializer`, at a prompt that is `absent` from the library,
            or in a `circle`, at one that the chain has already.
    """

    sources: tuple[Entry, ...]
    start: str
    end: Literal["initializer", "absent", "circle"]


def provenance(entry: Entry, entries: Iterable[Entry]) -> Provenance:
    """Follows a prompt to its beginning: `init` is the digest of the prompt that it was tuned from.

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
        # A prompt that its tuning did not improve has its source's digest.
        sources = [source for source in by_digest.get(start, []) if source.name != last.name]
        seen = {link.name for link in chain}
        new = [source for source in sources if source.name not in seen]
        if not new:
            end = "circle" if sources else "absent"
            return Provenance(tuple(chain[1:]), start, end)
        chain.append(min(new, key=_likeliest))


def _likeliest(entry: Entry) -> tuple[bool, str, str]:
    """Orders prompts that are equal: one that began as another comes after that one."""
    unimproved = entry.metadata.get("init") == entry.digest
    return unimproved, entry.metadata.get("created", ""), entry.name
