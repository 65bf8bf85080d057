"""Choices among answers: their numbers are those of each dataset's own key."""

import pytest

from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import BadRecordError

SOCIAL = {"context": "c", "question": "q", "answerA": "a", "answerB": "b", "answerC": "c"}


def target(name, row):
    (example,) = DATASETS[name].format(row)
    return example["targets"]


def test_numbers_are_those_of_the_key():
    assert target("social_i_qa", SOCIAL | {"label": 3}) == "3"
    assert target("social_i_qa", SOCIAL | {"label": "3"}) == "3"  # as its file of labels has it
    pronoun = {"sentence": "s", "option1": "a", "option2": "b"}
    assert target("winogrande", pronoun | {"label": 0}) == "1"
    assert target("piqa", {"goal": "g", "sol1": "a", "sol2": "b", "label": 0}) == "0"


@pytest.mark.parametrize("label", [0, 4, "b", None])
def test_a_number_that_is_no_answer_is_told(label):
    with pytest.raises(BadRecordError, match=f"label is {label!r}; it must be one of 1, 2, 3"):
        target("social_i_qa", SOCIAL | {"label": label})


def test_every_label_is_a_target_the_scorer_knows():
    for name in MIXTURES["rainbow"].members:
        dataset = DATASETS[name]
        assert dataset.postprocess is not None
        found = [dataset.postprocess(label) for label in dataset.labels]
        assert found == list(range(len(dataset.labels)))
    assert len(MIXTURES["rainbow"].members) == 6
