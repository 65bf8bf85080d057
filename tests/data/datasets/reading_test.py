"""Questions about passages: what T5's spacing does, and rows that cannot be."""

import pytest

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import BadRecordError
from prompt_tuning.data.datasets.reading import pad_punctuation

RACE = {
    "article": "x",
    "questions": ["q", "r"],
    "options": [["a", "b", "c", "d"]] * 2,
    "answers": ["A", "D"],
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("U.S. (est. 1776)", "U . S . ( est . 1776 )"),
        ("a_b  c\n\td", "a_b c d"),
        ("café", "caf é"),
        ("", ""),
    ],
)
def test_punctuation_is_spaced_as_t5_does(text, expected):
    assert pad_punctuation(text) == expected
    assert pad_punctuation(expected) == expected


def test_every_gold_answer_counts():
    squad = DATASETS["squad"]
    answers = {"text": ["3.5 tons", "about 3.5"], "answer_start": [0, 0]}
    (example,) = squad.format({"question": "q", "context": "c", "answers": answers})
    assert squad.postprocess is not None
    target = squad.postprocess(example["targets"], example=example, is_target=True)
    assert target == ("3 . 5 tons", "about 3 . 5")
    assert metrics.exact_match([target], ["about 3 . 5"]) == {"exact_match": 100.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": ["A", "E"]}, "answers has 'E'; it must be one of A, B, C, D"),
        ({"answers": ["A"]}, "questions, options and answers differ in number"),
        ({"options": [["a", "b", "c", "d"], ["a", "b"]]}, "has 2 options; it must have four"),
    ],
)
def test_a_wrong_passage_of_race_is_told(change, message):
    with pytest.raises(BadRecordError, match=message):
        list(DATASETS["race_high"].format(RACE | change))


ASKED = {"question": "q", "context": "c"}


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("squad", ASKED | {"answers": {"text": []}}, "answers.text is empty; every question"),
        ("squad", ASKED | {"answers": {"text": "1871"}}, "'1871'; it must be a list of texts"),
        ("squad", {"question": 1, "context": "c", "answers": {"text": ["a"]}}, "it must be text"),
        ("natural_questions_open", {"question": "q", "answer": []}, "answer is empty"),
        (
            "mrqa_drop",
            ASKED | {"answers": ["a"], "detected_answers": {"text": []}},
            "detected_answers.text is empty",
        ),
    ],
)
def test_answers_that_cannot_be_are_told(name, row, message):
    with pytest.raises(BadRecordError, match=message):
        list(DATASETS[name].format(row))


def test_mrqa_trains_on_six_sets_and_generalises_to_six():
    outside = [each for each in DATASETS.values() if each.family == "MRQA out of domain"]
    assert len(MIXTURES["mrqa"].members) == len(outside) == 6
    assert all(set(each.splits) == {"test"} for each in outside)
    # the totals of the shared task's release
    sizes = [DATASETS[name].sizes for name in MIXTURES["mrqa"].members]
    assert sum(size["train"] for size in sizes) == 516_819
    assert sum(size["validation"] for size in sizes) == 58_221
    assert sum(each.sizes["test"] for each in outside) == 9_633
