"""BLEU and ROUGE: cases worked by hand, and agreement with sacrebleu and rouge-score."""

import math
import statistics

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from prompt_tuning.data import text_metrics

WANTED = [
    "The cat sat on the mat.",
    "A storm closed the harbour . Two ships waited outside . ",
    "Nobody knew why the bell rang twice that night.",
    "Rents fell.",
]
GOT = [
    "The cat lay on the mat.",
    "The harbour was closed by a storm . Ships waited . ",
    "Why the bell rang twice nobody knew.",
    "",
]


def test_bleu_worked_by_hand():
    # 1-grams 5/6, 2-grams 3/5, 3-grams 1/4, 4-grams 0/3, smoothed to 1/2 of 1/3; no length penalty
    got = text_metrics.bleu(["a b c d e f"], ["a b c x e f"])
    assert got["bleu"] == pytest.approx(
        100.0 * math.exp(statistics.fmean(map(math.log, [5 / 6, 3 / 5, 1 / 4, 1 / 6]))), abs=1e-6
    )
    # all right, but 4 words for 8: the penalty is exp(1 - 8/4)
    short = text_metrics.bleu(["a b c d e f g h"], ["a b c d"])
    assert short["bleu"] == pytest.approx(100.0 * math.exp(-1.0), abs=1e-6)


def test_rouge_worked_by_hand():
    got = text_metrics.rouge(["the cat sat down", "x"], ["the cat ran", "y"])
    # two of 3 and of 4 words: 2/3 and 1/2; one pair of 2 and of 3: 1/2 and 1/3; half of it is zero
    assert got == pytest.approx({"rouge1": 200 / 7, "rouge2": 20.0, "rougeLsum": 200 / 7}, abs=1e-6)


def test_full_stops_that_stand_apart_end_a_sentence_of_rouge_l():
    got = text_metrics.rouge(["a b . c d . ", "a b. c d."], ["c d . a b . ", "c d. a b."])
    # all of the first is found sentence by sentence, half of the second in one order
    assert got["rougeLsum"] == pytest.approx((100.0 + 50.0) / 2, abs=1e-6)


def test_the_best_of_several_references_counts():
    targets = [("no such words here", "the cat sat on a mat"), ("one", "two", "three")]
    predictions = ["the cat sat on a mat", "two"]
    assert text_metrics.bleu(targets, predictions)["bleu"] == pytest.approx(100.0, abs=1e-6)
    assert text_metrics.rouge(targets, predictions)["rouge1"] == pytest.approx(100.0, abs=1e-6)
    assert text_metrics.bleu([target[:1] for target in targets], predictions)["bleu"] < 20.0


def test_agrees_with_the_libraries():
    ours = text_metrics.bleu(WANTED, GOT)["bleu"]
    assert ours == pytest.approx(sacrebleu.corpus_bleu(GOT, [WANTED], tokenize="intl").score)
    scorer = RougeScorer(["rouge1", "rouge2", "rougeLsum"])
    theirs = [
        scorer.score(wanted.replace(" . ", " .\n"), got.replace(" . ", " .\n"))
        for wanted, got in zip(WANTED, GOT, strict=True)
    ]
    for name, value in text_metrics.rouge(WANTED, GOT).items():
        mean = 100.0 * statistics.fmean(score[name].fmeasure for score in theirs)
        assert value == pytest.approx(mean, abs=1e-6)


@pytest.mark.parametrize("metric", [text_metrics.bleu, text_metrics.rouge])
def test_lengths_must_agree(metric):
    with pytest.raises(ValueError, match="2 targets and 1 predictions"):
        metric(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="0 targets"):
        metric([], [])
