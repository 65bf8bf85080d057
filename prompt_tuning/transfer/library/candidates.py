"""The prompts of a library that a run can start from."""

import collections
import dataclasses
from collections.abc import Sequence

from prompt_tuning.transfer.library.entry import Entry
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Candidates:
    """The compatible prompts of a library.

    Attributes:
        library: The library.
        entries: Its compatible prompts, in its order.
        left_out: A sentence on how many are incompatible and why; None where all are compatible.
    """

    library: Library
    entries: Sequence[Entry]
    left_out: str | None

    def describe(self, steps: int) -> list[str]:
        """Returns lines on the choice of prompts, for a task embedding of `steps` steps."""
        lines = [f"Library {self.library.path}: {len(self.entries)} prompts to choose from."]
        if self.left_out:
            lines[0] += f" {self.left_out}"
        if not any(entry.has_embedding for entry in self.entries):
            lines.append(
                "None of them has a task embedding: the prompts themselves are compared, which "
                "ranks them less reliably."
            )
            return lines
        by_step = collections.Counter(e.metadata.get("embedding_step", "?") for e in self.entries)
        others = {step: count for step, count in by_step.items() if step != str(steps)}
        if others:
            lines.append(
                f"{sum(others.values())} of them are embedded after {', '.join(sorted(others))} "
                f"steps, the new task after {steps} (EMBEDDING_STEPS): their rank is less reliable."
            )
        return lines


def find_candidates(
    library: Library,
    *,
    backbone: str,
    backbone_digest: str,
    prompt_length: int,
    hidden_size: int,
    placement: str,
    target_prefix: str,
) -> Candidates:
    """Returns the prompts of a library that `files.check` would let a run start from.

    Prompts that do not record a placement or a target prefix count as compatible. If some have task
    embeddings, those without are left out; if none has, the prompts themselves are compared.

    Raises:
        UserError: The library is empty, or none of its prompts is compatible.
    """
    entries = library.entries()
    if not entries:
        raise UserError(
            f"library '{library.path}' is empty; add prompts with "
            f"prompt-tuning library add {library.path} PATH..."
        )
    fitting: list[Entry] = []
    reasons: collections.Counter[str] = collections.Counter()
    for entry in entries:
        length, width = entry.shape
        if not entry.backbone_digest:
            reasons["of no known backbone"] += 1
        elif (entry.backbone, entry.backbone_digest) != (backbone, backbone_digest):
            same = " with other weights" if entry.backbone == backbone else ""
            reasons[f"of another backbone ({entry.backbone}{same})"] += 1
        elif width != hidden_size:
            reasons[f"of another width ({width}, not {hidden_size})"] += 1
        elif length != prompt_length:
            reasons[f"of another length ({length} tokens, not {prompt_length})"] += 1
        elif (other := entry.metadata.get("placement", placement)) != placement:
            reasons[f"of another placement ({other}, not {placement})"] += 1
        elif (other := entry.metadata.get("target_prefix", target_prefix)) != target_prefix:
            reasons[f"of another target prefix ({other!r}, not {target_prefix!r})"] += 1
        else:
            fitting.append(entry)
    if any(entry.has_embedding for entry in fitting):  # A prompt and an embedding do not compare.
        embedded = [entry for entry in fitting if entry.has_embedding]
        reasons["without a task embedding"] += len(fitting) - len(embedded)
        fitting = embedded
    reasons = +reasons
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    if not fitting:
        raise UserError(
            f"library '{library.path}' has no prompt of {backbone} with {prompt_length} tokens to "
            f"start from ({why}); add some, or set the model, PROMPT_LENGTH and the like to theirs"
        )
    left_out = f"{reasons.total()} of {len(entries)} prompts are left out: {why}."
    return Candidates(library=library, entries=fitting, left_out=left_out if reasons else None)
