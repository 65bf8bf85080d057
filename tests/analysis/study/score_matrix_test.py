"""Matrices of scores read from CSV."""

import numpy as np
import pytest

from prompt_tuning.analysis.study import score_matrix
from prompt_tuning.types import UserError

GOOD = "target\\source,a,b,c\na,0.8,0.4,\nb,0.1,0.5,0.6\n"


def _read(tmp_path, content: str):
    path = tmp_path / "m.csv"
    path.write_text(content, encoding="utf-8")
    return score_matrix.read_matrix(path)


def test_a_matrix_becomes_the_scores_of_one_seed_with_the_diagonal_as_baseline(tmp_path):
    matrix = _read(tmp_path, GOOD)
    transfer = matrix.transfer()
    assert (transfer.targets, transfer.sources) == (("a", "b"), ("a", "b", "c"))
    np.testing.assert_allclose(transfer.baseline, [[80], [50]])
    np.testing.assert_allclose(transfer.scores[:, 0], [[80, 40, np.nan], [10, 50, 60]])
    np.testing.assert_array_equal(transfer.same_task, [[True, False, False], [False, True, False]])


def test_percentages_stay_as_they_are_and_targets_can_be_chosen(tmp_path):
    matrix = _read(tmp_path, "\ufefft,a,b\na,80,1\nb,0.5,60\n").restricted(["b"])
    assert matrix.targets == ("b",) and matrix.sources == ("a", "b")
    np.testing.assert_allclose(matrix.scores, [[0.5, 60]])
    with pytest.raises(UserError, match=r"has no target 'bb' \(did you mean b\?\); it has b"):
        matrix.restricted(["bb"])
    with pytest.raises(UserError, match="the target 'b' is given twice"):
        matrix.restricted(["b", "b"])


def test_lines_with_nothing_in_them_are_left_out(tmp_path):
    matrix = _read(tmp_path, f"\n,,,\n{GOOD} , ,\n\n")
    assert matrix.targets == ("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it needs a header of two or more sources and a line for each target, with commas"),
        ("t;a;b\na;1;1\n", "it needs a header of two or more sources .* with commas"),
        ("t,a\na,1\n", "it needs a header of two or more sources"),
        ("t,a,b\n", "it needs a header of two or more sources"),
        ("t,a,a\na,1,1\n", "source 'a' appears twice"),
        ("t,a,\na,1,1\n", "source '' appears twice, or is empty"),
        ("t,a,b\na,1,1\na,1,1\n", "target 'a' appears twice"),
        ("t,a,b\na,1\n", "target 'a' has 1 scores, not 2"),
        ("t,a,b\na,1,70%\n", "target 'a' has the score '70%', which is not a number"),
        ("t,a,b\na,1,inf\n", "target 'a' has a score that is not finite"),
        ("t,a,b\na,1,101\n", "scores go from 0 to 1, or to 100"),
        ("t,ant,b\naunt,1,1\n", r"target 'aunt' is not among the sources \(did you mean ant\?\)"),
        ("t,a,b\na,0,1\n", "the prompt of target 'a' itself has no score above 0"),
        ("t,a,b\na,,1\n", "the prompt of target 'a' itself has no score above 0"),
    ],
)
def test_what_is_no_matrix_is_refused(tmp_path, content: str, message: str):
    with pytest.raises(UserError, match=rf"matrix .*m\.csv: {message}"):
        _read(tmp_path, content)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no\.csv: cannot read it"):
        score_matrix.read_matrix(tmp_path / "no.csv")
    (tmp_path / "m.csv").write_bytes(b"t,\xff\n")
    with pytest.raises(UserError, match="not a CSV file in UTF-8"):
        score_matrix.read_matrix(tmp_path / "m.csv")
