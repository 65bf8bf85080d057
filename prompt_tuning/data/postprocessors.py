"""Postprocessors with SeqIO's signature: decoded text to what a metric compares."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Example = Mapping[str, Any]


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


def number(output: str, example: Example | None = None, is_target: bool = False) -> float:
    """Returns the number the text spells, or -1 where it spells none."""
    del example, is_target
    try:
        return float(output)
    except ValueError:
        return -1.0


def answers(
    output: str, example: Example | None = None, is_target: bool = False
) -> str | tuple[str, ...]:
    """Returns the text, or for a target every right answer listed in the example's `answers`."""
    if is_target and example is not None and "answers" in example:
        return tuple(str(answer) for answer in example["answers"])
    return output.strip()
