"""Postprocessors with SeqIO's signature: decoded text to what a metric compares."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Example = Mapping[str, Any]


_DETERMINERS = frozenset(
    "a an each every few her his many much my our some that the their these this those which "
    "whose your".split()
)


class Grouped(NamedTuple):
    """A target together with the values that say which group it belongs to."""

    group: tuple[Any, ...]
    value: Any


def text(output: str, example: Example | None = None, is_target: bool = False) -> str:
    """Returns the text without surrounding space."""
    del example, is_target
    return output.strip()


def label_index(
    output: str,
    example: Example | None = None,
    is_target: bool = False,
    *,
    labels: Sequence[str],
) -> int:
    """Returns the position of the text among `labels`, or -1 where it is none of them."""
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
    """Returns the positions among `words` of those that the text lists with commas between."""
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
    """Returns `label_index`; for a target, with the example's fields `group`."""
    index = label_index(output, labels=labels)
    if not is_target:
        return index
    assert example is not None
    return Grouped(tuple(example[name] for name in group), index)


def is_referent(output: str, example: Example | None = None, is_target: bool = False) -> int:
    """Returns whether the output names the noun that the example's target spells; -1 if empty.

    For a target, whether that noun is what the pronoun stands for: the example's `label`. The two
    name the same thing where the words of one, without determiners, are among those of the other,
    and both or neither have an apostrophe: `hat` is not `Bob's hat` (Raffel et al. 2020, WSC).
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
    """Returns the number the text spells, or -1 where it spells none."""
    del example, is_target
    try:
        value = float(output)
    except ValueError:
        return -1.0
    return value if math.isfinite(value) else -1.0


def answers(
    output: str, example: Example | None = None, is_target: bool = False
) -> str | tuple[str, ...]:
    """Returns the text, or for a target every right answer listed in the example's `answers`."""
    if is_target and example is not None and "answers" in example:
        return tuple(str(answer) for answer in example["answers"])
    return output.strip()


def _bare_words(text: str) -> set[str]:
    return set(text.lower().split()) - _DETERMINERS


def without_prefix(text: str, prefix: str) -> str:
    """Returns an answer without the text that all targets begin with, if it begins with it."""
    return text.removeprefix(prefix).lstrip() if prefix else text


def target_tokens(
    output: str, example: Example | None = None, is_target: bool = False
) -> str | int:
    """Returns the text, or for a target the number of its tokens, which the example has."""
    if is_target and example is not None:
        return int(example["target_tokens"])
    return output
