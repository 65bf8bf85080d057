"""Metrics: cases worked by hand, and agreement with scikit-learn and SciPy."""

import functools

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from prompt_tuning.data import metrics


@pytest.mark.parametrize(
    ("metric", "targets", "predictions", "expected"),
    [
        (metrics.accuracy, ["a", "b", "c", "d"], ["a", "b", "c", "x"], 75.0),
        # 1 true positive, 1 false positive, 2 false negatives: 2 / (2 + 1 + 2)
        (metrics.f1, [1, 1, 1, 0, 0], [1, 0, 0, 1, 0], 40.0),
        # -1 counts as the wrong class: a false negative, then a false positive
        (metrics.f1, [1, 1, 0], [1, -1, -1], 50.0),
        (functools.partial(metrics.f1, positive=0), [0, 0, 1], [0, 1, 0], 50.0),
        (metrics.f1, [0, 0], [0, 0], 0.0),
        # class 0: 2/3, class 1: 2/3, class 2 never right: 0
        (functools.partial(metrics.macro_f1, classes=3), [0, 0, 1, 2], [0, -1, 1, 1], 400 / 9),
        # (1 * 1 - 0 * 1) / sqrt(1 * 2 * 1 * 2)
        # class 0: 2/3, class 1: 1, class 2: 0; class 3 is nowhere
        (
            functools.partial(metrics.macro_f1_of_sets, classes=4),
            [(0, 1), (0,), (2,)],
            [(1, 0), (), ()],
            500 / 9,
        ),
        (metrics.matthews, [1, 1, 0], [1, 0, 0], 50.0),
        (metrics.matthews, [1, 0, 1], [1, 1, 1], 0.0),
        (metrics.pearson, [1.0, 2.0, 3.0], [2.0, 4.0, 6.0], 100.0),
        (metrics.pearson, [1.0, 2.0, 3.0], [5.0, 5.0, 5.0], 0.0),
        (metrics.spearman, [1.0, 2.0, 3.0], [1.0, 100.0, 10.0], 50.0),
        (metrics.exact_match, ["The Red Fox!", "a cat"], ["red fox", "dog"], 50.0),
        (metrics.exact_match, [("blue", "navy")], ["Navy."], 100.0),
        # words "red fox" of "red big fox": precision 2/2, recall 2/3
        (metrics.token_f1, ["red big fox"], ["the red fox"], 80.0),
        (metrics.token_f1, [("blue", "dark blue sea")], ["blue sea"], 80.0),
        (metrics.token_f1, ["cat"], [""], 0.0),
        # SQuAD's own script: "The" has no words left, which counts as no overlap
        (metrics.token_f1, ["The"], ["a"], 0.0),
        (metrics.exact_match, ["The"], ["a"], 100.0),
        # punctuation is dropped without a space, before articles are
        (metrics.exact_match, ["U.S. mother-in-law"], ["us motherinlaw"], 100.0),
        (metrics.exact_match, ["A.N. Other", "an  other"], ["other", "another"], 50.0),
        (metrics.exact_match, ["50\u201360"], ["5060"], 0.0),  # only ASCII's punctuation is
        # words count as often as they occur: 2 in common of 3 and of 2
        (metrics.token_f1, ["go go home"], ["go go"], 80.0),
        # the best of an example's answers, then the mean: 2/3 of "red fox" in four words, and 0
        (metrics.token_f1, [("fox", "red fox"), ("owl",)], ["big red old fox", "hen"], 100 / 3),
    ],
)
def test_worked_by_hand(metric, targets, predictions, expected):
    (value,) = metric(targets, predictions).values()
    assert value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_libraries(seed):
    draw = np.random.default_rng(seed)
    targets, predictions = draw.integers(0, 3, (2, 200)).tolist()
    binary = [t % 2 for t in targets], [p % 2 for p in predictions]
    numbers = draw.normal(size=200).tolist(), draw.normal(size=200).tolist()
    pairs = [
        (
            metrics.accuracy(targets, predictions),
            sklearn.metrics.accuracy_score(targets, predictions),
        ),
        (metrics.f1(*binary), sklearn.metrics.f1_score(*binary)),
        (
            metrics.macro_f1(targets, predictions, classes=3),
            sklearn.metrics.f1_score(targets, predictions, average="macro"),
        ),
        (
            metrics.matthews(targets, predictions),
            sklearn.metrics.matthews_corrcoef(targets, predictions),
        ),
        (metrics.pearson(*numbers), scipy.stats.pearsonr(*numbers)[0]),
        (metrics.spearman(*numbers), scipy.stats.spearmanr(*numbers)[0]),
    ]
    for ours, theirs in pairs:
        assert list(ours.values()) == pytest.approx([100.0 * float(theirs)], abs=1e-6)


def test_score_is_the_mean_of_the_metrics():
    assert metrics.score({"accuracy": 80.0, "f1": 60.0}) == 70.0


def test_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match="2 targets and 1 predictions"):
        metrics.accuracy(["a", "b"], ["a"])


def test_a_label_names_each_metric_once():
    assert metrics.metric_label(["f1", "accuracy"]) == "f1+accuracy"
    assert metrics.metric_label(["first/accuracy", "second/accuracy", "second/f1"]) == "accuracy+f1"
