"""The summary of a file shows exact figures."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from prompt_tuning.data.own import summary
from prompt_tuning.data.own.task_file import FileTask, Setting
from prompt_tuning.data.own.tokens import TokenizedFile, tokenize
from prompt_tuning.data.vocabulary import Vocabulary
from tests.data.own.conftest import REVIEWS, comma_separated

CSV = comma_separated("text,label", REVIEWS)


@pytest.fixture
def tokenized(read: Callable[..., FileTask], mini: Vocabulary) -> Callable[..., TokenizedFile]:
    """Returns a function that reads and tokenises a CSV file."""

    def tokenized(content: str, longest: int = 16, **settings) -> TokenizedFile:
        task = read("a.csv", content, **settings)
        return tokenize(task, mini, {"inputs": longest, "targets": 16})

    return tokenized


def printed(file: TokenizedFile) -> str:
    """Returns the summary as text of a wide console."""
    screen = io.StringIO()
    Console(file=screen, width=200).print(summary.summary(file), highlight=False)
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
