"""The table of rankings."""

import numpy as np

from prompt_tuning.analysis.ranking_table import ranking_table
from tests.analysis.studies import renamed, study_of, transfer_of


def test_the_best_and_the_most_similar_source_with_its_place():
    scores = np.array([[[60.0, 80, 70, 95]], [[99.0, 55, 70, np.nan]]])
    alike = np.array([[[0.9, 0.1, 0.2, 0.3]], [[1.0, 0.4, 0.8, 0.9]]])
    transfer = renamed(transfer_of(scores), targets=["x", "s0"])
    lines = [
        [round(cell, 6) if isinstance(cell, float) else cell for cell in line.cells]
        for line in ranking_table(study_of(transfer, alike)).lines
    ]
    assert lines == [
        ["x", "s3", 90.0, 52.5, "s0", 20.0, 4],
        ["s0", "s2", 40.0, 25.0, "s2", 40.0, 1],
        ["mean", "", 65.0, 38.75, "", 30.0, 2.5],
    ]


def test_a_target_without_transfers_has_no_line():
    scores = np.full((1, 1, 2), np.nan)
    assert not ranking_table(study_of(transfer_of(scores), np.ones_like(scores))).lines
