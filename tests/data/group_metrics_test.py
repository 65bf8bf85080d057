"""Metrics over groups: cases worked by hand, and agreement with scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics

from prompt_tuning.data import group_metrics
from prompt_tuning.data.postprocessors import Grouped


def grouped(groups, values):
    return [Grouped((group,), value) for group, value in zip(groups, values, strict=True)]


def test_each_group_has_its_accuracy():
    targets = grouped(["matched", "mismatched", "matched", "mismatched"], [0, 1, 2, 0])
    values = group_metrics.accuracy_by_group(targets, [0, 1, 1, -1])
    assert values == {"accuracy_matched": 50.0, "accuracy_mismatched": 50.0}
    targets = grouped(["matched", "mismatched", "matched"], [0, 1, 2])
    values = group_metrics.accuracy_by_group(targets, [0, 0, 2])
    assert values == {"accuracy_matched": 100.0, "accuracy_mismatched": 0.0}


def test_a_group_matches_where_all_its_answers_are_right():
    targets = grouped([0, 1, 0, 1, 2], [1, 0, 1, 1, 0])
    # question 0: both right; 1: one wrong; 2: no answer that can be read
    assert group_metrics.exact_match(targets, [1, 0, 1, 0, -1]) == {
        "exact_match": pytest.approx(100 / 3)
    }
    # over all answers: 2 true positives, 1 false negative, and -1 counts as a false positive
    assert group_metrics.f1a(targets, [1, 0, 1, 0, -1]) == {"f1a": pytest.approx(100 * 4 / 6)}


def test_agrees_with_scikit_learn():
    draw = np.random.default_rng(0)
    groups, targets, predictions = draw.integers(0, 2, (3, 100)).tolist()
    values = group_metrics.accuracy_by_group(grouped(map(str, groups), targets), predictions)
    for group in (0, 1):
        here = np.asarray(groups) == group
        expected = sklearn.metrics.accuracy_score(
            np.asarray(targets)[here], np.asarray(predictions)[here]
        )
        assert values[f"accuracy_{group}"] == pytest.approx(100 * expected, abs=1e-6)
    f1a = group_metrics.f1a(grouped(groups, targets), predictions)["f1a"]
    assert f1a == pytest.approx(100 * sklearn.metrics.f1_score(targets, predictions), abs=1e-6)


def test_lengths_have_to_agree():
    with pytest.raises(ValueError, match="2 targets and 1 predictions"):
        group_metrics.exact_match(grouped([0, 0], [1, 1]), [1])
