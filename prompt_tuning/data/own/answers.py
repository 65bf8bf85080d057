"""What kind of answers a label column holds, and how they are scored."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from prompt_tuning.data import metrics, postprocessors, references, text_metrics
from prompt_tuning.types import UserError, nearest

Kind = Literal["labels", "numbers", "text"]

_MOST_LABELS = 200
_LONGEST_LABEL = 60  # letters
_ROWS_PER_LABEL = 2
_SHORT_ANSWER = 5.0  # mean words up to which an answer is scored as an answer, not as a text

_METRICS: Mapping[Kind, Mapping[str, Callable[..., dict[str, float]]]] = {
    "labels": {
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        "matthews": metrics.matthews,
    },
    "numbers": {"pearson": metrics.pearson, "spearman": metrics.spearman},
    "text": {
        "exact_match": metrics.exact_match,
        "token_f1": metrics.token_f1,
        "rouge": text_metrics.rouge,
        "bleu": text_metrics.bleu,
    },
}


def guess_kind(values: Sequence[str]) -> Kind:
    """Guesses the kind of answers from all values of a column.

    Few different short values, each on two rows or more on average, are labels; numbers are
    numbers where they are not labels; anything else is text.
    """
    different = set(values)
    numeric = all(map(is_number, different))
    whole = numeric and all(float(value).is_integer() for value in different)
    few = len(different) <= _MOST_LABELS and len(values) >= _ROWS_PER_LABEL * len(different)
    if few and (whole or not numeric) and max(map(len, different)) <= _LONGEST_LABEL:
        return "labels"
    return "numbers" if numeric else "text"


def guess_metrics(kind: Kind, values: Sequence[str]) -> tuple[str, ...]:
    """Guesses the metrics of answers."""
    if kind == "labels":
        return ("accuracy",)
    if kind == "numbers":
        return ("pearson", "spearman")
    words = sum(len(value.split()) for value in values) / len(values)
    return ("exact_match", "token_f1") if words <= _SHORT_ANSWER else ("rouge",)


def check_kind(kind: str) -> None:
    """Raises for a kind that does not exist.

    Raises:
        UserError: It names the kinds.
    """
    kinds = get_args(Kind)
    if kind not in kinds:
        raise UserError(
            f"TaskFile.answers is {kind!r}{nearest(kind, kinds)}; use one of {', '.join(kinds)}"
        )


def sorted_labels(values: Sequence[str]) -> list[str]:
    """Returns the different values: numbers by size, others by the alphabet."""
    different = set(values)
    numeric = all(map(is_number, different))
    return sorted(different, key=lambda value: (float(value) if numeric else 0.0, value))


def is_number(value: str) -> bool:
    """Returns whether a text spells a finite number."""
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def metric_references(
    kind: Kind, names: Sequence[str], labels: Sequence[str]
) -> tuple[references.Reference, ...]:
    """Returns the functions of metrics.

    Raises:
        UserError: A metric does not exist, or is not one for this kind of answers.
    """
    known = _METRICS[kind]
    found = []
    for name in names:
        if name not in known:
            raise UserError(
                f"TaskFile.metrics has {name!r}{nearest(name, known)}; answers that are {kind} "
                f"are scored by {', '.join(known)}"
            )
        arguments: dict[str, Any] = {"classes": len(labels)} if name == "macro_f1" else {}
        found.append(references.refer(functools.partial(known[name], **arguments), "TASK_FILE"))
    if not found:
        raise UserError(f"TaskFile.metrics is empty; use {' or '.join(known)}")
    return tuple(found)


def postprocessor(kind: Kind, labels: Sequence[str]) -> references.Reference:
    """Returns the function that turns an answer's text into what the metrics compare."""
    functions: Mapping[Kind, Callable[..., Any]] = {
        "labels": functools.partial(postprocessors.label_index, labels=list(labels)),
        "numbers": postprocessors.number,
        "text": postprocessors.text,
    }
    return references.refer(functions[kind], "TASK_FILE")
