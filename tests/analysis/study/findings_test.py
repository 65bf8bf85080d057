"""The points of what a study found."""

import dataclasses

import numpy as np

from prompt_tuning.analysis.study.findings import findings
from prompt_tuning.analysis.study.scores import PERFORMANCE
from tests.analysis.made_up_studies import study_of, transfer_of

SCORES = np.array([[[60.0, 70, 80, 90]] * 2] * 2)


def test_shares_of_the_oracles_gain_are_told_for_each_k_and_for_chance():
    study = study_of(transfer_of(SCORES), -SCORES, ks=(1, 2))
    # The least similar is the best here: 60 of 50, then 70, against 75 and 83.3 by chance and 90.
    assert findings(study) == [
        "4 source tasks with 4 source prompts, 2 targets with 2 seeds: 16 transfers.",
        "Without transfer the targets score 50.0 on average; from the best of all source prompts "
        "(the oracle) 90.0.",
        "Share of that gain kept, at k = 1, 2 (which cuts the search by 75, 50 %): by cosine of "
        "mean tokens 25, 50 %; at random 62, 83 %.",
        "At k = 1, retrieval by cosine of mean tokens differs from chance by -15.0 points of test "
        "score (95 % interval -15.0 to -15.0).",
    ]


def test_a_given_matrix_is_told_in_relative_performance():
    study = dataclasses.replace(study_of(transfer_of(SCORES), SCORES, (1,)), measure=PERFORMANCE)
    text = " ".join(findings(study))
    assert "the best of all source prompts (the oracle) gives 180.0 %." in text
    assert "by cosine of mean tokens 180.0 %; at random 150.0 %." in text
    assert "differs from chance by +30.0 points of relative performance" in text


def test_nothing_is_claimed_where_nothing_was_run_or_gained():
    study = study_of(transfer_of(SCORES * np.nan), SCORES, ks=(1,))
    assert findings(study) == [
        "4 source tasks with 4 source prompts, 2 targets with 2 seeds: 0 transfers."
    ]
    worse = study_of(transfer_of(SCORES / 10), SCORES, ks=(1,))
    assert "Share" not in " ".join(findings(worse))
