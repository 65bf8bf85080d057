"""Postprocessors: text to what metrics compare."""

import functools

import pytest

from prompt_tuning.data import postprocessors


def test_label_index_is_minus_one_for_other_words():
    indices = [
        postprocessors.label_index(text, labels=("no", "yes")) for text in ("yes", " no ", "maybe")
    ]
    assert indices == [1, 0, -1]


def test_label_indices_are_those_listed_in_any_order():
    words = ("joy", "grief", "fear")
    texts = ("fear, joy", "grief", "fear,spite", "")
    found = [postprocessors.label_indices(text, words=words) for text in texts]
    assert found == [(0, 2), (1,), (2,), ()]


def test_number_is_minus_one_for_words():
    assert [postprocessors.number(text) for text in ("3.5", "three", "nan")] == [3.5, -1, -1]


def test_answers_lists_right_answers_for_targets_alone():
    example = {"answers": ["navy", "blue"]}
    assert postprocessors.answers("navy", example, is_target=True) == ("navy", "blue")
    assert postprocessors.answers(" navy ", example, is_target=False) == "navy"


def test_a_grouped_target_carries_its_fields():
    example = {"idx_question": 7, "idx_paragraph": 2}
    post = functools.partial(
        postprocessors.grouped_label_index,
        labels=("no", "yes"),
        group=("idx_paragraph", "idx_question"),
    )
    assert post("yes", example, is_target=True) == ((2, 7), 1)
    assert post("maybe", example, is_target=False) == -1


@pytest.mark.parametrize(
    ("prediction", "noun", "expected"),
    [
        ("the Fuzzy bunny", "bunny", 1),  # one's words are among the other's
        ("Bunny", "his fuzzy bunny", 1),
        ("bunny", "fox", 0),
        ("fuzzy fox", "fuzzy bunny", 0),
        ("hat", "Bob's hat", 0),  # whose hat is not said
        ("Bob's hat", "Bob's", 1),
        ("the", "bunny", -1),  # no noun at all
        ("", "bunny", -1),
        ("bunny", "every", 0),
    ],
)
def test_a_referent_is_found_by_containment(prediction, noun, expected):
    example = {"targets_pretokenized": noun, "label": 0}
    assert postprocessors.is_referent(prediction, example, is_target=False) == expected
    assert postprocessors.is_referent(noun, example, is_target=True) == 0
