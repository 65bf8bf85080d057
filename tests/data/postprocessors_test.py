"""Postprocessors: text to what metrics compare."""

from prompt_tuning.data import postprocessors


def test_label_index_is_minus_one_for_other_words():
    indices = [
        postprocessors.label_index(text, labels=("no", "yes")) for text in ("yes", " no ", "maybe")
    ]
    assert indices == [1, 0, -1]


def test_number_is_minus_one_for_words():
    assert [postprocessors.number(text) for text in ("3.5", "three")] == [3.5, -1.0]


def test_answers_lists_right_answers_for_targets_alone():
    example = {"answers": ["navy", "blue"]}
    assert postprocessors.answers("navy", example, is_target=True) == ("navy", "blue")
    assert postprocessors.answers(" navy ", example, is_target=False) == "navy"
