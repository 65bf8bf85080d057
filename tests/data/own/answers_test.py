"""What a column of answers is taken for, and what scores it."""

import pytest

from prompt_tuning.data import references
from prompt_tuning.data.own import answers
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
    assert answers.guess_kind(values) == kind


def test_metrics_are_guessed_by_kind_and_length():
    assert answers.guess_metrics("labels", ["good"]) == ("accuracy",)
    assert answers.guess_metrics("numbers", ["1"]) == ("pearson", "spearman")
    assert answers.guess_metrics("text", ["in the north", "Oslo"]) == ("exact_match", "token_f1")
    assert answers.guess_metrics("text", ["it rained all day in the north"]) == ("rouge",)


def test_labels_are_sorted_as_numbers_or_words():
    assert answers.sorted_labels(["10", "9", "9"]) == ["9", "10"]
    assert answers.sorted_labels(["b", "10", "9"]) == ["10", "9", "b"]


def test_macro_f1_knows_the_number_of_classes():
    (reference,) = answers.metric_references("labels", ["macro_f1"], ["a", "b", "c"])
    metric = references.resolve(reference, owner="the test")
    assert metric([0, 1, 1], [0, 1, 1]) == {"macro_f1": pytest.approx(200 / 3)}


def test_answers_are_compared_as_their_kind_asks():
    def compared(kind, text):
        reference = answers.postprocessor(kind, ["bad", "good"])
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
        answers.metric_references(kind, names, ["a", "b"])


def test_a_kind_that_cannot_be():
    with pytest.raises(UserError, match=r"'label' \(did you mean labels\?\); use one of labels"):
        answers.check_kind("label")
