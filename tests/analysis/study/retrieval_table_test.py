"""Tables of retrieval from scores whose every cell is known."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.analysis.study import panels
from prompt_tuning.analysis.study.retrieval_table import (
    kept_by_k,
    ranking_table,
    retrieval_lines,
    retrieval_panel,
    retrieval_table,
)
from prompt_tuning.analysis.study.scores import PERFORMANCE, MethodScores, Study
from prompt_tuning.analysis.table import Score, comma_separated
from tests.analysis.made_up_studies import numbers, renamed, study_of, transfer_of


def _study() -> Study:
    """Returns two targets, two seeds and four candidates, of which similarity knows the best."""
    scores = np.array([[[60.0, 70, 80, 90], [64, 72, 80, 88]], [[50.0, 60, 70, 80]] * 2])
    transfer = transfer_of(scores)
    average = MethodScores(
        method="top_k_weighted_average",
        similarity="mean_token",
        k=3,
        scores=np.array([[75.0, 75.0], [65.0, 69.0]]),
    )
    study = study_of(transfer, scores / 100, ks=(1, 3))
    return dataclasses.replace(study, methods=(average,))


def test_every_line_has_changes_averages_and_shares():
    lines = {(line.method.method, line.method.k): line for line in retrieval_lines(_study())}
    top, random = lines["best_of_top_k", 1], lines["best_of_random_k", 1]
    assert numbers(top.average) == (84.5, 0.707, 2)
    assert top.absolute and top.absolute.mean == pytest.approx(34.5)
    assert top.measured and top.measured.mean == pytest.approx(69.0)
    assert (top.kept, top.cut) == (1.0, 0.75)
    assert random.average and random.average.mean == pytest.approx((75 + 76 + 65 + 65) / 4)
    assert random.kept == pytest.approx(20.25 / 34.5)
    weighted = lines["top_k_weighted_average", 3]
    assert (numbers(weighted.average), weighted.cut) == ((71.0, 1.414, 2), None)
    assert lines["prompt_tuning", None].kept is None


def test_published_figures_stand_beside_the_lines_they_belong_to():
    table = retrieval_table(_study())
    assert [column.name for column in table.columns][3:6] == [
        "absolute change [T5-base]",
        "relative change [T5-base]",
        "average score [T5-base]",
    ]
    found = {(line.cells[0], line.cells[2]): line.cells for line in table.lines}
    published = {
        key: [cell.published for cell in cells if isinstance(cell, Score)]
        for key, cells in found.items()
    }
    assert published["own prompt alone", None] == [None, None, 74.7]
    assert published["oracle, best of all", None] == [6.0, 26.5, 80.7]
    assert published["best of top-k", 3] == [2.7, 16.6, 77.4]
    assert published["best of random k", 3] == [None, None, None]
    assert published["weighted average of top-k", 3] == [1.9, 11.5, 76.6]
    assert "Table 3, T5 1.1 LM-adapted base" in table.note
    assert "average score [T5-base] published" in comma_separated(table)


def test_zero_shot_scores_are_relative_to_the_own_prompt():
    study = dataclasses.replace(_study(), measure=PERFORMANCE, methods=())
    table = retrieval_table(study)
    cells = {(line.cells[0], line.cells[2]): line.cells[3:] for line in table.lines}
    assert cells["own prompt alone", None][0] == Score(Spread(100.0, 0.0, 2))
    top, kept, cut = cells["best of top-k", 1]
    assert isinstance(top, Score) and top.ours and top.ours.mean == pytest.approx(169.0)
    assert (kept, cut) == (100.0, 75.0)
    assert "T5 1.1" not in table.note


def test_a_target_without_scores_is_left_out_of_every_line_and_named():
    study = _study()
    scores = study.transfer.scores.copy()
    scores[1, 0] = np.nan
    transfer = dataclasses.replace(study.transfer, scores=scores)
    table = retrieval_table(dataclasses.replace(study, transfer=transfer))
    averages = [line.cells[5] for line in table.lines]
    assert numbers(averages[1]) == (89.0, 1.414, 2)
    assert averages[-1] == Score(Spread(75.0, 0.0, 2), 76.6)
    assert "Mean over 1 targets" in table.note
    assert "Left out" in table.note and table.note.endswith(": t1.")


def test_a_method_that_lacks_a_score_has_no_average():
    study = _study()
    method = dataclasses.replace(study.methods[0], scores=np.array([[75.0, np.nan], [65.0, 69.0]]))
    line = retrieval_lines(dataclasses.replace(study, methods=(method,)))[-1]
    assert (line.average, line.absolute, line.kept) == (None, None, None)


def test_own_tasks_are_not_counted_in_the_search_space():
    study = _study()
    study = dataclasses.replace(study, transfer=renamed(study.transfer, targets=["s3", "t1"]))
    line = next(line for line in retrieval_lines(study) if line.method.method == "best_of_top_k")
    assert line.cut == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert line.average and line.average.mean == pytest.approx(80.0)


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


SCORES = np.array([[[60.0, 70, 80, 90]], [[60.0, 70, 80, 90]]])


def test_shares_are_of_the_oracles_gain():
    study = study_of(transfer_of(SCORES), SCORES, ks=(1, 2, 4))
    kept = kept_by_k(study)
    assert kept["cosine of mean tokens"] == {1: 100, 2: 100, 4: 100}
    assert kept["random"] == pytest.approx({1: 62.5, 2: 250 / 3, 4: 100})
    panel = retrieval_panel(study)
    assert panel and "oracle's gain" in panel.name


def test_one_k_or_no_gain_has_no_curve():
    assert retrieval_panel(study_of(transfer_of(SCORES), SCORES, ks=(1,))) is None
    assert retrieval_panel(study_of(transfer_of(SCORES / 9), SCORES, ks=(1, 2))) is None


def test_the_picture_names_its_lines(tmp_path):
    panel = retrieval_panel(study_of(transfer_of(SCORES), SCORES, ks=(1, 2)))
    assert panel
    panels.save_panel(panel, tmp_path / "retrieval")
    for text in ((tmp_path / "retrieval.svg").read_text(), panels.html([panel], "it")):
        assert ">cosine of mean tokens</text>" in text
        assert ">random</text>" in text
