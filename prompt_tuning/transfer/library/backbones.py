"""The backbones that prompts are for: prompts of two of them cannot be compared."""

from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.entry import Entry, entry_of
from prompt_tuning.types import UserError

_SHORT = 12  # digits of a digest that are shown


def check_alike(like: files.Prompt, entries: Sequence[Entry]) -> None:
    """Checks that prompts are of one backbone and width, as far as their metadata tells it.

    Args:
        like: A prompt.
        entries: Those that it is to be compared with.

    Raises:
        UserError: Two are not; both are named.
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
        if entry.backbone_digest and not any(one.backbone_digest for one in known):
            known.append(entry)


def _differ(one: Entry, other: Entry) -> bool:
    """Returns whether two prompts are of different backbones, by name where one has no digest."""
    if one.shape[1] != other.shape[1]:
        return True
    if one.backbone_digest and other.backbone_digest:
        return one.backbone_digest != other.backbone_digest
    return bool(one.backbone and other.backbone) and one.backbone != other.backbone


def _backbone(entry: Entry) -> str:
    name, digest = entry.backbone or "an unknown backbone", entry.backbone_digest[:_SHORT]
    return f"{name} (digest {digest or 'unknown'}, width {entry.shape[1]})"
