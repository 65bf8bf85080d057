"""The splits of a file: as it names them, as files of their own, or divided at random."""

from collections.abc import Mapping, Sequence

from prompt_tuning.data.own.columns import SPLIT_NAMES
from prompt_tuning.data.own.division import divide
from prompt_tuning.data.own.examples import Example
from prompt_tuning.data.own.problems import Problems
from prompt_tuning.data.own.table import BadValueError, Row, Table
from prompt_tuning.types import UserError

SPLITS = ("train", "validation", "test")


def named_splits(
    table: Table, examples: Sequence[Example], column: str
) -> dict[str, list[Example]]:
    """Returns the examples of a file, one for each of its rows, by the split that they name.

    Raises:
        UserError: Rows name something else.
    """
    problems = Problems(table.path)
    splits: dict[str, list[Example]] = {split: [] for split in SPLITS}
    for row, example in zip(table.rows, examples, strict=True):
        name = _name(row, column)
        if name in SPLIT_NAMES:
            splits[SPLIT_NAMES[name]].append(example)
        else:
            problems.add(row.line, f"'{column}' is '{name}', not train, validation or test")
    problems.check()
    return splits


def complete(
    splits: Mapping[str, Sequence[Example]],
    *,
    by_class: bool,
    validation_share: float,
    test_share: float,
    seed: int,
) -> dict[str, list[Example]]:
    """Returns all splits that hold examples; those that are missing are taken from training.

    Test examples are taken only where neither validation nor test examples are given.

    Args:
        splits: What is given, by split.
        by_class: Whether answers are classes, each of which has its share of every split.
        validation_share: Share of the training examples to validate on.
        test_share: Share of the training examples to test on.
        seed: Names the random division.

    Raises:
        UserError: Nothing is left to train or to validate on.
    """
    given = {split: list(splits.get(split, ())) for split in SPLITS}
    shares = {}
    if not given["validation"] and not given["test"]:
        shares["test"] = test_share
    if not given["validation"]:
        shares["validation"] = validation_share
    training, given["train"] = given["train"], []
    classes = [example.targets if by_class else "" for example in training]
    divided = divide([example.inputs for example in training], classes, shares, seed)
    for example, split in zip(training, divided, strict=True):
        given[split].append(example)
    for split in ("train", "validation"):
        if not given[split]:
            raise UserError(
                f"TASK_FILE: of {len(training)} training rows none is left for {split} "
                f"(validation_share {validation_share}, test_share {test_share}; rows of the same "
                "input stay together); add rows, or "
                "set TaskFile.validation_share or TaskFile.validation_file"
            )
    return {split: given[split] for split in SPLITS if given[split]}


def _name(row: Row, column: str) -> str:
    try:
        return row.text(column).lower()
    except BadValueError:
        return ""
