"""What may be wrong with a file is told, with exact figures."""

import pytest

from prompt_tuning.data.own.checks import warnings
from prompt_tuning.data.own.tokens import tokenize
from tests.data.own.conftest import REVIEWS, comma_separated

LENGTHS = {"inputs": 16, "targets": 16}
SPLITS = "text,label,split\n"


def test_nothing_is_told_of_a_sound_file(read, mini):
    task = read("a.csv", comma_separated("text,label", REVIEWS))
    assert warnings(tokenize(task, mini, {"inputs": 64, "targets": 16})) == []


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        (
            "a,x,train\nb,y,train\nc,x,train\nd,y,train\ne,z,dev\nf,z,test\ng,x,test\n",
            "1 validation examples have labels that training never shows: 'z'",
        ),
        (
            "a,x,train\nb,y,train\nc,x,train\nd,z,train\ne,x,dev\nf,y,dev\n",
            "labels with a single training example: 'y', 'z'",
        ),
        (
            "a,x,train\nb,y,train\nc,x,train\nd,y,train\na,x,dev\ne,y,dev\nb,y,dev\n",
            "2 validation inputs are also in train (the first on line 6); scores on validation "
            "will be too high",
        ),
        (
            "a,x,train\na,y,train\nc,x,train\nd,y,train\ne,x,dev\nf,y,dev\n",
            "1 inputs stand in the file with different answers",
        ),
        (
            "".join(f"{i},{'x' if i else 'y'},train\n" for i in range(5)) + "6,x,dev\n7,y,dev\n",
            "80.0 % of train is 'x', so that accuracy says little of the other labels: see "
            "--gin.TaskFile.metrics=\"'macro_f1'\"",
        ),
        (
            "a,0,train\nb,1,train\nc,0,train\nd,1,train\ne,0,dev\nf,1,dev\n",
            "the label words are numbers; words that say what they mean are learned faster: "
            "--gin.TaskFile.label_words=\"{'0': 'WORD', ...}\"",
        ),
    ],
)
def test_what_may_be_wrong_is_told(read, mini, rows, warning):
    task = read("a.csv", SPLITS + rows, answers="labels")
    assert warning in warnings(tokenize(task, mini, LENGTHS))


def test_cut_texts_and_what_would_keep_them_are_told(read, mini):
    rows = [("film " * (i + 1), ("good", "bad")[i % 2], "train") for i in range(20)]
    rows += [("the film", "good", "dev"), ("the film", "bad", "dev")]
    task = read("a.csv", comma_separated("text,label,split", rows))
    # Words and EOS: 2 to 21 tokens, of which 17 to 21 are cut to 16.
    assert warnings(tokenize(task, mini, LENGTHS))[-1] == (
        '5 of 22 inputs are cut to 16 tokens; TASK_FEATURE_LENGTHS["inputs"] = 21 would keep them '
        "whole"
    )


def test_labels_and_characters_that_look_alike_are_told(read, published):
    rows = [(f"~ {i} <", ("good", "Good", "bad")[i % 3]) for i in range(30)]
    task = read("a.csv", comma_separated("text,label", rows))
    found = warnings(tokenize(task, published, LENGTHS))
    assert found[0].startswith("labels that differ by capitals alone: 'Good', 'good'; one word for")
    assert found[1] == (
        "30 of 30 inputs have characters that the model's vocabulary lacks: '<', '~'; all of these "
        "look the same to it"
    )
