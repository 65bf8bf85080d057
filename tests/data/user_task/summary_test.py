"""What is printed of a file, and what it warns of."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from prompt_tuning.data.user_task import summary
from prompt_tuning.data.user_task.reading import FileTask, Setting
from prompt_tuning.data.user_task.summary import warnings
from prompt_tuning.data.user_task.tokens import TokenizedFile, tokenize_file_task
from prompt_tuning.data.vocabulary import Vocabulary
from tests.data.user_task.conftest import REVIEWS, comma_separated

CSV = comma_separated("text,label", REVIEWS)


@pytest.fixture
def tokenized(read: Callable[..., FileTask], mini: Vocabulary) -> Callable[..., TokenizedFile]:
    """Returns a function that reads and tokenizes a CSV file."""

    def tokenized(content: str, longest: int = 16, **settings) -> TokenizedFile:
        task = read("a.csv", content, **settings)
        return tokenize_file_task(task, mini, {"inputs": longest, "targets": 16})

    return tokenized


def printed(file: TokenizedFile) -> str:
    """Returns the summary as text of a wide console."""
    screen = io.StringIO()
    Console(file=screen, width=200).print(summary.summarize(file), highlight=False)
    return screen.getvalue()


def cells(text: str, first: str) -> list[str]:
    """Returns the cells of the line of a table that begins so."""
    (line,) = [line for line in text.splitlines() if line.startswith(first)]
    return line.removeprefix(first).split()


def test_splits_labels_and_the_baseline_are_exact(tokenized):
    text = printed(tokenized(CSV, longest=64))
    assert "30 examples (24 train, 3 validation, 3 test)" in text
    assert cells(text, "good ") == ["16", "2", "2", "66.7", "%"]
    assert cells(text, "bad ") == ["8", "1", "1", "33.3", "%"]
    assert "always answering 'good' would score 66.7 on test (accuracy)" in text
    assert "  --gin.TaskFile.inputs=\"'text'\"\n" in text
    assert "warning" not in text


def test_the_baseline_is_the_training_label_on_the_split_of_the_score(tokenized):
    rows = [(f"film {i}", "good" if i else "bad", "train") for i in range(3)]
    rows += [("a", "good", "dev"), ("b", "bad", "dev")]
    rows += [(str(i), "bad" if i else "good", "test") for i in range(4)]
    text = printed(tokenized(comma_separated("text,label,split", rows)))
    assert "always answering 'good' would score 25.0 on test (accuracy)" in text


def test_quantiles_and_cuts_are_exact(tokenized):
    rows = [("film " * (i + 1), ("good", "bad")[i % 2], "train") for i in range(20)]
    rows += [("the film", "good", "dev"), ("the film", "bad", "dev")]
    file = tokenized(comma_separated("text,label,split", rows))
    text = printed(file)
    # Words and EOS: 2 to 21 tokens, of which 17 to 21 are cut to 16.
    assert cells(text, "train inputs ") == ["11", "19", "21", "21", "16", "5", "(25.0", "%)"]
    assert cells(text, "validation inputs ") == ["3", "3", "3", "3", "16", "0"]
    assert cells(text, "train targets ") == ["2", "2", "2", "2", "16", "0"]


def test_of_many_labels_the_most_and_the_least_frequent_are_shown(tokenized):
    rows = [(f"text {i} {j}", f"label{i:02}") for i in range(20) for j in range(20 - i // 2)]
    text = printed(tokenized(comma_separated("text,label", rows)))
    assert "... 8 more" in text
    assert "label00" in text and "label19" in text and "label10" not in text


def test_a_flag_survives_a_shell():
    assert summary.flag(Setting("label", "my label", True)) == "--gin.TaskFile.label=\"'my label'\""
    awkward = summary.flag(Setting("label", "cost $", True))
    assert awkward == "'--gin.TaskFile.label='\"'\"'cost $'\"'\"''"


LENGTHS = {"inputs": 16, "targets": 16}
SPLITS = "text,label,split\n"


def test_nothing_is_told_of_a_sound_file(read, mini):
    task = read("a.csv", comma_separated("text,label", REVIEWS))
    assert warnings(tokenize_file_task(task, mini, {"inputs": 64, "targets": 16})) == []


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
    assert warning in warnings(tokenize_file_task(task, mini, LENGTHS))


def test_cut_texts_and_what_would_keep_them_are_told(read, mini):
    rows = [("film " * (i + 1), ("good", "bad")[i % 2], "train") for i in range(20)]
    rows += [("the film", "good", "dev"), ("the film", "bad", "dev")]
    task = read("a.csv", comma_separated("text,label,split", rows))
    # Words and EOS: 2 to 21 tokens, of which 17 to 21 are cut to 16.
    assert warnings(tokenize_file_task(task, mini, LENGTHS))[-1] == (
        '5 of 22 inputs are cut to 16 tokens; TASK_FEATURE_LENGTHS["inputs"] = 21 would keep them '
        "whole"
    )


def test_labels_and_characters_that_look_alike_are_told(read, published):
    rows = [(f"~ {i} <", ("good", "Good", "bad")[i % 3]) for i in range(30)]
    task = read("a.csv", comma_separated("text,label", rows))
    found = warnings(tokenize_file_task(task, published, LENGTHS))
    assert found[0].startswith("labels that differ by capitals alone: 'Good', 'good'; one word for")
    assert found[1] == (
        "30 of 30 inputs have characters that the model's vocabulary lacks: '<', '~'; all of these "
        "look the same to it"
    )
