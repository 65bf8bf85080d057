"""Postprocessors with SeqIO's signature, which map decoded text to what metrics compare."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Example = Mapping[str, Any]


_DETERMINERS = frozenset(
    "a an each every few her his many much my our some that the their these this those which "
    "whose your".split()
)


class Grouped(NamedTuple):
    """A target value with the key of its group."""

    group: tuple[Any, ...]
    value: Any


def text(output: str, example: Example | None = None, is_target: bool = False) -> str:
    """Strips surrounding space."""
    del example, is_target
    return output.strip()


def label_index(
    output: str,
    example: Example | None = None,
    is_target: bool = False,
    *,
    labels: Sequence[str],
) -> int:
    """Returns the position of the text among `labels`, or -1 if it is none of them."""
    del example, is_target
    output = output.strip()
    return list(labels).index(output) if output in labels else -1


def label_indices(
    output: str,
    example: Example | None = None,
    is_target: bool = False,
    *,
    words: Sequence[str],
) -> tuple[int, ...]:
    """Returns the positions among `words` of those in the comma-separated text."""
    del example, is_target
    parts = {part.strip() for part in output.split(",")}
    return tuple(index for index, word in enumerate(words) if word in parts)


def grouped_label_index(
    output: str,
    example: Example | None = None,
    is_target: bool = False,
    *,
    labels: Sequence[str],
    group: Sequence[str],
) -> int | Grouped:
    """Returns `label_index`, and for a target also the example's fields named in `group`."""
    index = label_index(output, labels=labels)
    if not is_target:
        return index
    assert example is not None
    return Grouped(tuple(example[name] for name in group), index)


def is_referent(output: str, example: Example | None = None, is_target: bool = False) -> int:
    """Returns 1 if the output names the noun in the example's target, 0 if not, -1 if empty.

    For a target, returns whether the pronoun refers to that noun: the example's `label`. Two texts
    name the same thing if the words of one, without determiners, are among those of the other, and
    both or neither have an apostrophe: `hat` is not `Bob's hat` (Raffel et al. 2020, WSC).
    """
    assert example is not None
    if is_target:
        return int(example["label"])
    got, noun = _bare_words(output), _bare_words(example["targets_pretokenized"])
    if not got:
        return -1
    owned = ["'" in " ".join(words) for words in (got, noun)]
    return int(bool(noun) and owned[0] == owned[1] and (got <= noun or noun <= got))


def number(output: str, example: Example | None = None, is_target: bool = False) -> float:
    """Parses a finite number; returns -1 if the text is not one."""
    del example, is_target
    try:
        value = float(output)
    except ValueError:
        return -1.0
    return value if math.isfinite(value) else -1.0


def answers(
    output: str, example: Example | None = None, is_target: bool = False
) -> str | tuple[str, ...]:
    """Returns the text; for a target, all correct answers in the example's `answers`."""
    if is_target and example is not None and "answers" in example:
        return tuple(str(answer) for answer in example["answers"])
    return output.strip()


def _bare_words(text: str) -> set[str]:
    return set(text.lower().split()) - _DETERMINERS


def without_prefix(text: str, prefix: str) -> str:
    """Removes the target prefix from an answer that begins with it."""
    return text.removeprefix(prefix).lstrip() if prefix else text


def target_tokens(
    output: str, example: Example | None = None, is_target: bool = False
) -> str | int:
    """Returns the text; for a target, its number of tokens from the example."""
    if is_target and example is not None:
        return int(example["target_tokens"])
    return output
