"""Scatter plots: their points, and what they say of the correlation."""

import numpy as np

from prompt_tuning.analysis import scatter
from tests.analysis.studies import renamed, study_of, transfer_of

SCORES = np.array([[[60.0, 70, 80, 95]], [[50.0, 50, 50, 50]]])


def test_r_leaves_the_targets_own_prompt_out():
    transfer = renamed(transfer_of(SCORES), sources=["a", "b", "c", "t0"])
    study = study_of(transfer, np.array([[[0.1, 0.2, 0.3, -0.9]]] * 2))
    first, second = scatter.scatters(study, "mean_token")
    assert first.words == "r = 1.00, p < 0.001, n = 3"
    assert first.points.same_task.tolist() == [False, False, False, True]
    assert first.axes == ("cosine of mean tokens", "relative error reduction (%)")
    assert second.words == "no correlation: constant"


def test_every_point_is_drawn_and_own_prompts_are_squares():
    transfer = renamed(transfer_of(SCORES), sources=["a", "b", "c", "t0"])
    study = study_of(transfer, np.array([[[0.1, 0.2, 0.3, -0.9]]] * 2))
    panel = scatter.inline(scatter.scatters(study, "mean_token"), "plots")[0]
    assert panel.name == "t0"
    assert panel.svg.count("fill: var(--first)") == 3
    assert panel.svg.count("fill: var(--second)") == 1


def test_targets_without_transfers_have_no_plot():
    scores = SCORES.copy()
    scores[1] = np.nan
    study = study_of(transfer_of(scores), np.zeros((2, 1, 4)))
    assert [plot.target for plot in scatter.scatters(study, "mean_token")] == ["t0"]
