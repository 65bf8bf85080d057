"""The table of correlations."""

import numpy as np

from prompt_tuning.analysis.correlation import CANDIDATES, SOURCES
from prompt_tuning.analysis.correlation_table import correlation_table
from prompt_tuning.analysis.table import text
from tests.analysis.studies import renamed, study_of, transfer_of

SCORES = np.array([[[99.0, 60.0, 70.0, 80.0]], [[60.0, 70.0, 80.0, 90.0]]])
ALIKE = np.array([[[0.99, 0.4, 0.3, 0.2]], [[0.1, 0.2, 0.3, 0.4]]])


def test_a_line_for_each_target_and_their_mean_without_and_with_the_own_task():
    study = study_of(renamed(transfer_of(SCORES), targets=["s0", "x"]), ALIKE)
    lines = correlation_table(study, SOURCES).lines
    shown = [[str(cell) for cell in line.cells] for line in lines]
    assert [(line[1], line[2], line[3], line[7]) for line in shown] == [
        ("s0", "3", "-1.00", "-1.00"),
        ("x", "4", "1.00", "1.00"),
        ("mean", "2", "0.00", "0.00"),
    ]
    assert [line[-1] for line in shown] == ["0.20", "1.00", "0.60"]
    assert [line.strong for line in lines] == [False, False, True]


def test_targets_that_are_no_sources_have_one_value_and_constants_none():
    scores = np.concatenate([SCORES[:1], np.full((1, 1, 4), 70.0)])
    table = correlation_table(study_of(transfer_of(scores), ALIKE), CANDIDATES)
    assert [column.name for column in table.columns][-1] == "to"
    assert set(table.lines[1].cells[2:]) == {None}
    assert "constant" not in text(table, 100) and "0.20" in text(table, 100)
