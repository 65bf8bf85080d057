"""The transfer matrix as a table."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.study import PERFORMANCE
from prompt_tuning.analysis.table import Score
from prompt_tuning.analysis.transfer_table import transfer_table
from tests.analysis.studies import numbers, renamed, study_of, transfer_of


def test_sources_by_targets_with_pairs_of_seeds_as_one_spread():
    scores = np.array([[[60.0, 70, 80, 90], [60, 70, 80, np.nan]], [[50.0, 50, 75, 75]] * 2])
    transfer = renamed(transfer_of(scores), sources=["a", "a", "b", "b"])
    transfer = renamed(transfer, targets=["x", "b"])
    study = study_of(transfer, scores)
    table = transfer_table(study)
    assert [column.name for column in table.columns] == ["source", "x", "b", "mean"]
    (a, b) = (line.cells for line in table.lines)
    assert numbers(a[1]) == (30.0, 11.547, 4)
    assert numbers(b[1]) == (66.667, 11.547, 3)
    assert (a[3], b[3]) == (pytest.approx(15.0), pytest.approx(66.667, abs=1e-3))
    relative = transfer_table(dataclasses.replace(study, measure=PERFORMANCE))
    assert numbers(relative.lines[0].cells[1]) == (130.0, 11.547, 4)


def test_a_cell_without_transfers_is_missing():
    scores = np.full((1, 1, 2), np.nan)
    (line, _) = transfer_table(study_of(transfer_of(scores), scores)).lines
    assert line.cells == ["s0", Score(None), None]
