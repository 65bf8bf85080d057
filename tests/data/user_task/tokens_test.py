"""Tokens end in EOS at the lengths that are asked for, and label words are those that can win."""

from collections.abc import Callable

import numpy as np
import pytest

from prompt_tuning.data.cached_task import CachedTask
from prompt_tuning.data.user_task.reading import FileTask
from prompt_tuning.data.user_task.tokens import TokenizedFile, tokenize_file_task
from prompt_tuning.data.vocabulary import Vocabulary
from prompt_tuning.types import UserError
from tests.data.user_task.conftest import REVIEWS, comma_separated, json_lines

LENGTHS = {"inputs": 16, "targets": 16}
CSV = comma_separated("text,label", REVIEWS)


@pytest.fixture
def tokenized(read: Callable[..., FileTask], mini: Vocabulary) -> Callable[[str], TokenizedFile]:
    """Returns a function that reads and tokenizes a CSV file."""
    return lambda content: tokenize_file_task(read("a.csv", content), mini, LENGTHS)


def test_tokens_are_those_of_the_vocabulary_cut_before_eos(tokenized, mini):
    rows = [("the film " * (i or 20), ("good", "bad")[i % 2], "train") for i in range(4)]
    rows += [("a film", "good", "dev"), ("a film", "bad", "dev")]
    file = tokenized(comma_separated("text,label,split", rows))
    split = file.task.split("train")
    example = file.text.splits["train"]
    for i in range(4):
        ids = mini.encode(example[i].inputs)[:15]
        np.testing.assert_array_equal(split.inputs[i], [*ids, 1])
        np.testing.assert_array_equal(split.targets[i], [*mini.encode(example[i].targets), 1])
    lengths = file.lengths["train"]["inputs"]
    assert lengths.tokens.tolist() == [41, 3, 5, 7]
    assert (lengths.cut, file.lengths["train"]["targets"].cut) == (1, 0)


def test_the_task_scores_its_own_answers(tokenized):
    task: CachedTask = tokenized(CSV).task
    assert (task.name, task.labels, task.scored_split) == ("a", ("bad", "good"), "test")
    right = task.split("test").target_texts
    assert task.evaluate("test", right) == {"accuracy": 100.0}
    assert task.evaluate("test", ["bad"] * 3) == {"accuracy": pytest.approx(100 / 3)}
    assert not task.split("train").has_fields


def test_the_digest_follows_the_content_alone(tokenized, read, mini):
    digest = tokenized(CSV).task.digest
    assert tokenized(CSV.replace("text,label", "review,label")).task.digest == digest
    assert tokenized(CSV.replace("view annoys", "view angers")).task.digest != digest
    assert tokenized(CSV.replace(",bad", ",poor")).task.digest != digest
    other = [read("a.csv", CSV, seed=1), read("a.csv", CSV, metrics="macro_f1")]
    assert digest not in [tokenize_file_task(task, mini, LENGTHS).task.digest for task in other]


def test_label_words_are_what_the_vocabulary_reads_back(tokenized):
    file = tokenized(CSV.replace(",good", ",Good"))
    assert file.task.labels == file.text.labels == ("good", "bad")
    assert file.text.notes[-1].endswith("writes label words differently: 'Good' as 'good'")
    assert file.task.evaluate("test", file.task.split("test").target_texts) == {"accuracy": 100.0}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"good": "Extraordinarily", "bad": "bad"},
            "takes 17 tokens, but TASK_FEATURE_LENGTHS kee",
        ),
        ({"good": "Fine", "bad": "fine"}, "words 'Fine' and 'fine' are the same to the model's"),
    ],
)
def test_label_words_that_cannot_win_are_refused(read, mini, words, message):
    with pytest.raises(UserError) as error:
        tokenize_file_task(read("a.csv", CSV, label_words=words), mini, LENGTHS)
    assert message in str(error.value)


def test_label_words_that_cannot_be_written_are_refused(read, published):
    with pytest.raises(
        UserError, match="vocabulary cannot write the label word '好'; give it anot"
    ):
        tokenize_file_task(read("a.csv", CSV.replace(",good", ",好")), published, LENGTHS)


def test_texts_with_unknown_characters_are_counted(read, published):
    rows = [
        {"question": f"who {'好' * (i < 3)}", "answer": f"{i} {'好' * (i < 5)}"} for i in range(30)
    ]
    task = read("a.jsonl", json_lines(rows), validation_share=0.5, test_share=0.0)
    lengths = tokenize_file_task(task, published, LENGTHS).lengths.values()
    assert sum(of["inputs"].unknown for of in lengths) == 3
    assert sum(of["targets"].unknown for of in lengths) == 5
    assert {letter for of in lengths for letter in of["inputs"].characters} == {"好"}
