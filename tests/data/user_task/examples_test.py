"""What a column of answers is taken for and scored by, and how examples are divided."""

from collections import Counter

import pytest

from prompt_tuning.data import references
from prompt_tuning.data.user_task import examples
from prompt_tuning.data.user_task.examples import divide
from prompt_tuning.types import UserError


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["good", "bad"] * 2, "labels"),
        (["1", "2", "3", "4", "5"] * 2, "labels"),
        (["0.0", "1.0"] * 4, "labels"),
        (["good", "bad", "fair"], "text"),
        ([str(i) for i in range(20)], "numbers"),
        (["0.5", "3.8", "0.5", "3.8", "0.5", "3.8"], "numbers"),
        (["-1e-3", "2", "nan"], "text"),
        (["x" * 61, "y" * 61] * 9, "text"),
        ([str(i) + "th" for i in range(201)] * 9, "text"),
        ([str(i) + "th" for i in range(200)] * 9, "labels"),
    ],
)
def test_the_kind_of_answers_is_guessed(values, kind):
    assert examples.guess_kind(values) == kind


def test_metrics_are_guessed_by_kind_and_length():
    assert examples.guess_metrics("labels", ["good"]) == ("accuracy",)
    assert examples.guess_metrics("numbers", ["1"]) == ("pearson", "spearman")
    assert examples.guess_metrics("text", ["in the north", "Oslo"]) == ("exact_match", "token_f1")
    assert examples.guess_metrics("text", ["it rained all day in the north"]) == ("rouge",)


def test_labels_are_sorted_as_numbers_or_words():
    assert examples.sorted_labels(["10", "9", "9"]) == ["9", "10"]
    assert examples.sorted_labels(["b", "10", "9"]) == ["10", "9", "b"]


def test_macro_f1_knows_the_number_of_classes():
    (reference,) = examples.metric_references("labels", ["macro_f1"], ["a", "b", "c"])
    metric = references.resolve(reference, owner="the test")
    assert metric([0, 1, 1], [0, 1, 1]) == {"macro_f1": pytest.approx(200 / 3)}


def test_answers_are_compared_as_their_kind_asks():
    def compared(kind, text):
        reference = examples.answer_postprocessor(kind, ["bad", "good"])
        return references.resolve(reference, owner="the test")(text)

    assert [compared("labels", text) for text in ("good ", "bad", "fair")] == [1, 0, -1]
    assert compared("numbers", "2.50") == 2.5
    assert compared("text", " Oslo ") == "Oslo"


@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        ("labels", ["acuracy"], r"'acuracy' \(did you mean accuracy\?\); answers that are labels"),
        ("text", ["accuracy"], "answers that are text are scored by exact_match, token_f1, rouge"),
        ("numbers", [], "TaskFile.metrics is empty; use pearson or spearman"),
    ],
)
def test_metrics_that_cannot_be(kind, names, message):
    with pytest.raises(UserError, match=message):
        examples.metric_references(kind, names, ["a", "b"])


INPUTS = [f"text {i}" for i in range(200)]
CLASSES = ["rare" if i % 10 == 0 else "often" for i in range(200)]
SHARES = {"test": 0.1, "validation": 0.2}


def test_every_class_has_its_share_of_every_split():
    splits = divide(INPUTS, CLASSES, SHARES, 0)
    assert Counter(zip(CLASSES, splits, strict=True)) == {
        ("rare", "train"): 14,
        ("rare", "validation"): 4,
        ("rare", "test"): 2,
        ("often", "train"): 126,
        ("often", "validation"): 36,
        ("often", "test"): 18,
    }


def test_a_division_repeats_and_its_seed_names_it():
    assert divide(INPUTS, CLASSES, SHARES, 0) == divide(INPUTS, CLASSES, SHARES, 0)
    assert divide(INPUTS, CLASSES, SHARES, 0) != divide(INPUTS, CLASSES, SHARES, 1)


def test_the_order_of_a_file_does_not_matter_and_a_new_row_moves_few():
    splits = dict(zip(INPUTS, divide(INPUTS, CLASSES, SHARES, 0), strict=True))
    turned = divide(INPUTS[::-1], CLASSES[::-1], SHARES, 0)
    assert dict(zip(INPUTS[::-1], turned, strict=True)) == splits
    longer = divide([*INPUTS, "one more"], [*CLASSES, "rare"], SHARES, 0)
    assert sum(a != b for a, b in zip(splits.values(), longer, strict=False)) <= 4


def test_the_same_input_is_never_in_two_splits():
    inputs = [f"text {i % 40}" for i in range(200)]
    splits = divide(inputs, ["a", "b"] * 100, SHARES, 0)
    assert set(splits) == {"train", "validation", "test"}
    assert len(set(zip(inputs, splits, strict=True))) == 40


@pytest.mark.parametrize(("rows", "validation"), [(1, 0), (2, 1), (3, 1), (24, 2), (26, 3)])
def test_a_class_keeps_an_example_to_train_on_and_a_share_gives_one(rows, validation):
    splits = divide(INPUTS[:rows], ["one"] * rows, {"validation": 0.1}, 0)
    assert splits.count("validation") == validation


def test_many_rare_classes_still_give_their_sum():
    classes = [str(i // 3) for i in range(150)]
    splits = divide(INPUTS[:150], classes, {"test": 0.1, "validation": 0.1}, 0)
    assert Counter(splits) == {"train": 120, "validation": 15, "test": 15}
    in_train = {c for c, split in zip(classes, splits, strict=True) if split == "train"}
    assert len(in_train) == 50


def test_labels_that_occur_once_are_trained_on():
    splits = divide(INPUTS[:12], ["once", "alone", *["often"] * 10], {"validation": 0.2}, 0)
    assert splits[:2] == ["train", "train"]
    assert splits.count("validation") == 2


def test_a_share_of_nothing_gives_nothing():
    assert set(divide(INPUTS, CLASSES, {"test": 0.0}, 0)) == {"train"}
