"""Metric functions with SeqIO's signature, on the papers' scale of 0 to 100.

Each takes the postprocessed targets and predictions of a split and returns its values by name.
scikit-learn and SciPy are imported inside the functions that use them, because importing them takes
a good part of the time a training job takes to start.
"""

# The type stubs of scikit-learn and SciPy are wrong about the arguments and results used here.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def score(metrics: Mapping[str, float]) -> float:
    """Returns the one number a task counts as: the mean of its metrics (Vu et al. 2022)."""
    return float(np.mean(list(metrics.values())))


def metric_label(names: Iterable[str]) -> str:
    """Names what a score is the mean of: `f1+accuracy`; a mixture's tasks are not repeated."""
    return "+".join(dict.fromkeys(name.rpartition("/")[2] for name in names))


def accuracy(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
    """Computes the share of predictions equal to their target."""
    check_lengths(targets, predictions)
    hits = [target == prediction for target, prediction in zip(targets, predictions, strict=True)]
    return {"accuracy": 100.0 * float(np.mean(hits))}


def f1(
    targets: Sequence[int], predictions: Sequence[int], *, positive: int = 1
) -> dict[str, float]:
    """Computes the F1 of class `positive` of two classes: 2 P R / (P + R).

    A prediction that is neither class counts as the wrong one, as in the T5 evaluation of GLUE.
    """
    from sklearn.metrics import f1_score

    check_lengths(targets, predictions)
    wanted = np.asarray(targets) == positive
    got = np.asarray(predictions)
    got = np.where(np.isin(got, (0, 1)), got == positive, ~wanted)
    return {"f1": 100.0 * float(f1_score(wanted, got, zero_division=0.0))}


def macro_f1(
    targets: Sequence[int], predictions: Sequence[int], *, classes: int
) -> dict[str, float]:
    """Computes the unweighted mean of the F1 of each of `classes` classes (CommitmentBank)."""
    from sklearn.metrics import f1_score

    check_lengths(targets, predictions)
    scores = f1_score(
        targets,
        predictions,
        labels=list(range(classes)),
        average=None,
        zero_division=0.0,
    )
    return {"macro_f1": 100.0 * float(np.mean(scores))}


def macro_f1_of_sets(
    targets: Sequence[Sequence[int]], predictions: Sequence[Sequence[int]], *, classes: int
) -> dict[str, float]:
    """Computes the unweighted mean of the F1 of each class, where an example may have several.

    A class that is in no target and no prediction is left out (GoEmotions).
    """
    from sklearn.metrics import f1_score

    check_lengths(targets, predictions)
    wanted, got = (
        np.array([[label in row for label in range(classes)] for row in labels])
        for labels in (targets, predictions)
    )
    value = f1_score(wanted, got, average="macro", zero_division=np.nan)
    return {"macro_f1": 100.0 * float(value)}


def matthews(targets: Sequence[int], predictions: Sequence[int]) -> dict[str, float]:
    """Computes the Matthews correlation coefficient (CoLA); 0 where it is not defined."""
    from sklearn.metrics import matthews_corrcoef

    check_lengths(targets, predictions)
    if len(set(targets)) < 2 or len(set(predictions)) < 2:
        return {"matthews": 0.0}
    return {"matthews": 100.0 * float(matthews_corrcoef(targets, predictions))}


def pearson(targets: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Computes Pearson's r; 0 where it is not defined."""
    from scipy.stats import pearsonr

    check_lengths(targets, predictions)
    if _constant(targets) or _constant(predictions):
        return {"pearson": 0.0}
    return {"pearson": 100.0 * float(pearsonr(targets, predictions).statistic)}


def spearman(targets: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Computes Spearman's rank correlation; 0 where it is not defined."""
    from scipy.stats import spearmanr

    check_lengths(targets, predictions)
    if _constant(targets) or _constant(predictions):
        return {"spearman": 0.0}
    return {"spearman": 100.0 * float(spearmanr(targets, predictions).statistic)}


def exact_match(targets: Sequence[Any], predictions: Sequence[str]) -> dict[str, float]:
    """Computes the share of answers equal to one of their targets after SQuAD's normalisation.

    Args:
        targets: For each example a string, or the strings that all count as right.
        predictions: For each example the answer.
    """
    check_lengths(targets, predictions)
    hits = [
        any(normalize_answer(answer) == normalize_answer(prediction) for answer in _answers(target))
        for target, prediction in zip(targets, predictions, strict=True)
    ]
    return {"exact_match": 100.0 * float(np.mean(hits))}


def token_f1(targets: Sequence[Any], predictions: Sequence[str]) -> dict[str, float]:
    """Computes SQuAD's F1 over words, the best of each example's right answers, averaged."""
    check_lengths(targets, predictions)
    values = [
        max(_overlap(answer, prediction) for answer in _answers(target))
        for target, prediction in zip(targets, predictions, strict=True)
    ]
    return {"token_f1": 100.0 * float(np.mean(values))}


def normalize_answer(text: str) -> str:
    """Lowers the case and drops punctuation, articles and surplus space (SQuAD's rule)."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def check_lengths(targets: Sequence[Any], predictions: Sequence[Any]) -> None:
    """Raises ValueError unless there are as many predictions as targets, and some."""
    if len(targets) != len(predictions) or len(targets) == 0:
        raise ValueError(f"{len(targets)} targets and {len(predictions)} predictions")


def _answers(target: Any) -> Sequence[str]:
    return (target,) if isinstance(target, str) else target


def _overlap(answer: str, prediction: str) -> float:
    wanted, got = normalize_answer(answer).split(), normalize_answer(prediction).split()
    common = sum((Counter(wanted) & Counter(got)).values())
    return 2.0 * common / (len(wanted) + len(got)) if common else 0.0


def _constant(values: Sequence[float]) -> bool:
    return len(set(values)) < 2
