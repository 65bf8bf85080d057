"""The examples of a file: their texts and answers, the kind of answers, and their splits."""

import functools
import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from prompt_tuning.data import metrics, postprocessors, references, text_metrics
from prompt_tuning.data.task_file import Kind
from prompt_tuning.data.user_task.columns import SPLIT_NAMES, Template
from prompt_tuning.data.user_task.table import BadValueError, Problems, Record, Table
from prompt_tuning.types import UserError, nearest

SPLITS = ("train", "validation", "test")

_MOST_LABELS = 200
_LONGEST_LABEL = 60  # characters
_EXAMPLES_PER_LABEL = 2
_SHORT_ANSWER = 5.0  # mean words; longer answers are scored as texts, by ROUGE

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


class Example(NamedTuple):
    """The input text and target text of an example, and the line of the file it begins on."""

    line: int
    inputs: str
    targets: str


def guess_kind(values: Sequence[str]) -> Kind:
    """Guesses the kind of answers from all values of a column.

    A few distinct short values, each with two examples or more on average, are labels, unless they
    are fractions. Otherwise numbers are numbers, and anything else is text.
    """
    different = set(values)
    numeric = all(map(is_number, different))
    whole = numeric and all(float(value).is_integer() for value in different)
    few = len(different) <= _MOST_LABELS and len(values) >= _EXAMPLES_PER_LABEL * len(different)
    if few and (whole or not numeric) and max(map(len, different)) <= _LONGEST_LABEL:
        return "labels"
    return "numbers" if numeric else "text"


def guess_metrics(kind: Kind, values: Sequence[str]) -> tuple[str, ...]:
    """Chooses the metrics for answers of a kind."""
    if kind == "labels":
        return ("accuracy",)
    if kind == "numbers":
        return ("pearson", "spearman")
    words = sum(len(value.split()) for value in values) / len(values)
    return ("exact_match", "token_f1") if words <= _SHORT_ANSWER else ("rouge",)


def sorted_labels(values: Sequence[str]) -> list[str]:
    """Returns the distinct values, sorted as numbers if all are numbers, else as text."""
    different = set(values)
    numeric = all(map(is_number, different))
    return sorted(different, key=lambda value: (float(value) if numeric else 0.0, value))


def is_number(value: str) -> bool:
    """Returns whether a text is a finite number."""
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def metric_references(
    kind: Kind, names: Sequence[str], labels: Sequence[str]
) -> tuple[references.Reference, ...]:
    """Returns references to metrics.

    Raises:
        UserError: There is no metric of this name for this kind of answers.
    """
    known = _METRICS[kind]
    functions = []
    for name in names:
        if name not in known:
            raise UserError(
                f"TaskFile.metrics has {name!r}{nearest(name, known)}; answers that are {kind} "
                f"are scored by {', '.join(known)}"
            )
        arguments: dict[str, Any] = {"classes": len(labels)} if name == "macro_f1" else {}
        functions.append(references.refer(functools.partial(known[name], **arguments), "TASK_FILE"))
    if not functions:
        raise UserError(f"TaskFile.metrics is empty; use {' or '.join(known)}")
    return tuple(functions)


def answer_postprocessor(kind: Kind, labels: Sequence[str]) -> references.Reference:
    """Returns a reference to the postprocessor that maps answers to what the metrics compare."""
    functions: Mapping[Kind, Callable[..., Any]] = {
        "labels": functools.partial(postprocessors.label_index, labels=list(labels)),
        "numbers": postprocessors.number,
        "text": postprocessors.text,
    }
    return references.refer(functions[kind], "TASK_FILE")


def read_examples(table: Table, template: Template, label: str) -> list[Example]:
    """Returns the records of a file as examples, with answers as the file has them.

    Raises:
        UserError: A column does not exist, or records lack a text or an answer.
    """
    for name in (*template.columns, label):
        table.check_column(name, "a column of the input or the label")
    problems = Problems(table.path)
    examples = []
    for record in table.records:
        try:
            examples.append(Example(record.line, template.fill(record), record.text(label)))
        except BadValueError as error:
            problems.add(record.line, str(error))
    problems.check()
    return examples


def with_words(
    table: Table, examples: Sequence[Example], kind: Kind, words: Mapping[str, str]
) -> list[Example]:
    """Replaces labels by their label words.

    Args:
        table: The file of the examples.
        examples: Examples with answers as the file has them.
        kind: The kind of answers; numbers and texts are not changed.
        words: The label word of each label.

    Raises:
        UserError: A label has no word, or an answer that should be a number is not.
    """
    problems = Problems(table.path)
    for example in examples:
        answer = example.targets
        if kind == "labels" and answer not in words:
            known = f"{nearest(answer, words)}; it has {', '.join(words)}"
            problems.add(example.line, f"label '{answer}' is not in TaskFile.label_words{known}")
        elif kind == "numbers" and not is_number(answer):
            problems.add(example.line, f"'{answer[:40]}' is not a number")
    problems.check()
    return [
        example._replace(targets=words.get(example.targets, example.targets))
        for example in examples
    ]


def named_splits(
    table: Table, examples: Sequence[Example], column: str
) -> dict[str, list[Example]]:
    """Groups the examples of a file by the split that their records name in a column.

    Raises:
        UserError: Records name something other than a split.
    """
    problems = Problems(table.path)
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for record, example in zip(table.records, examples, strict=True):
        name = _split_name(record, column)
        if name in SPLIT_NAMES:
            splits[SPLIT_NAMES[name]].append(example)
        else:
            problems.add(record.line, f"'{column}' is '{name}', not train, validation or test")
    problems.check()
    return splits


def complete_splits(
    splits: Mapping[str, Sequence[Example]],
    *,
    by_class: bool,
    validation_share: float,
    test_share: float,
    seed: int,
) -> dict[str, list[Example]]:
    """Returns all splits that have examples, after taking missing ones from training.

    Test examples are taken only if neither validation nor test examples are given.

    Args:
        splits: The given examples, by split.
        by_class: Whether answers are classes, which are then divided in proportion.
        validation_share: Share of the training examples to validate on.
        test_share: Share of the training examples to test on.
        seed: Seeds the division.

    Raises:
        UserError: No examples are left to train or to validate on.
    """
    present = {split: list(splits.get(split, ())) for split in SPLITS}
    shares = {}
    if not present["validation"] and not present["test"]:
        shares["test"] = test_share
    if not present["validation"]:
        shares["validation"] = validation_share
    training, present["train"] = present["train"], []
    classes = [example.targets if by_class else "" for example in training]
    divided = divide([example.inputs for example in training], classes, shares, seed)
    for example, split in zip(training, divided, strict=True):
        present[split].append(example)
    for split in ("train", "validation"):
        if not present[split]:
            raise UserError(
                f"TASK_FILE: of {len(training)} training examples none is left for {split} "
                f"(validation_share {validation_share}, test_share {test_share}; examples with the "
                "same input stay together); add examples, or "
                "set TaskFile.validation_share or TaskFile.validation_file"
            )
    return {split: present[split] for split in SPLITS if present[split]}


def divide(
    inputs: Sequence[str], classes: Sequence[str], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Assigns each example to `train` or to another split.

    Each class is divided in proportion, rounded so that the totals over classes are right too, and
    keeps at least one example to train on. Examples with the same input stay together. The order of
    assignment is by a hash of the seed and the input, so the order of the file does not matter, and
    adding an example hardly moves any other.

    Args:
        inputs: The input text of each example.
        classes: The class of each example, or the same class for all.
        shares: The share of each split except `train`, each in [0, 1).
        seed: Seeds the division.

    Returns:
        The split of each example.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(inputs):
        groups[text].append(index)
    order = sorted(groups, key=lambda text: hashlib.sha256(f"{seed}\n{text}".encode()).digest())
    sizes = Counter(classes)
    left = Counter({name: size - 1 for name, size in sizes.items()})
    splits = ["train"] * len(inputs)
    placed: set[str] = set()
    for split, share in shares.items():
        wanted = _quotas(sizes, share, left)
        for text in order:
            needed = Counter(classes[index] for index in groups[text])
            if text not in placed and all(wanted[name] >= n for name, n in needed.items()):
                placed.add(text)
                wanted.subtract(needed)
                left.subtract(needed)
                for index in groups[text]:
                    splits[index] = split
    return splits


def _split_name(record: Record, column: str) -> str:
    try:
        return record.text(column).lower()
    except BadValueError:
        return ""


def _quotas(sizes: Mapping[str, int], share: float, left: Mapping[str, int]) -> Counter[str]:
    """Returns how many examples of each class a split gets, rounded by largest remainder.

    A split gets at least one example if any is left and its share is not 0.
    """
    exact = {name: share * size for name, size in sizes.items()}
    quotas = Counter({name: min(int(value), left[name]) for name, value in exact.items()})
    total = max(round(sum(exact.values())), 1 if share else 0)
    by_remainder = sorted(exact, key=lambda name: (quotas[name] - exact[name], name))
    for name in by_remainder:
        if sum(quotas.values()) < total and quotas[name] < left[name]:
            quotas[name] += 1
    return quotas
