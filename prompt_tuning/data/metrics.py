"""Metric functions with SeqIO's signature, on the papers' scale of 0 to 100.

Each maps the postprocessed targets and predictions of a split to values by name. scikit-learn and
SciPy are imported inside functions, because their imports would slow down the start of training.
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
    """Returns the score of a task, the mean of its metrics (Vu et al. 2022)."""
    return float(np.mean(list(metrics.values())))


def metric_label(names: Iterable[str]) -> str:
    """Names the metrics in a score, as in `f1+accuracy`; each once, over a mixture's tasks."""
    return "+".join(dict.fromkeys(name.rpartition("/")[2] for name in names))


def accuracy(targets: Sequence[Any], predictions: Sequence[Any]) -> dict[str, float]:
    """Computes the share of predictions equal to their targets."""
    check_lengths(targets, predictions)
    hits = [target == prediction for target, prediction in zip(targets, predictions, strict=True)]
    return {"accuracy": 100.0 * float(np.mean(hits))}


def f1(
    targets: Sequence[int], predictions: Sequence[int], *, positive: int = 1
) -> dict[str, float]:
    """Computes the F1 of class `positive` of two classes: 2 P R / (P + R).

    A prediction outside the two classes counts as the wrong class, as in T5's evaluation of GLUE.
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
    """Computes the unweighted mean F1 over classes `0` to `classes - 1` (CommitmentBank)."""
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
    """Computes the unweighted mean F1 over classes, of which an example may have several.

    Classes in no target and no prediction are left out (GoEmotions).
    """
    from sklearn.metrics import f1_score

    check_lengths(targets, predictions)
    wanted, got = (
        np.array([[label in own for label in range(classes)] for own in labels])
        for labels in (targets, predictions)
    )
    value = f1_score(wanted, got, average="macro", zero_division=np.nan)
    return {"macro_f1": 100.0 * float(value)}


def matthews(targets: Sequence[int], predictions: Sequence[int]) -> dict[str, float]:
    """Computes the Matthews correlation coefficient (CoLA); 0 if undefined."""
    from sklearn.metrics import matthews_corrcoef

    check_lengths(targets, predictions)
    if len(set(targets)) < 2 or len(set(predictions)) < 2:
        return {"matthews": 0.0}
    return {"matthews": 100.0 * float(matthews_corrcoef(targets, predictions))}


def pearson(targets: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Computes Pearson's correlation coefficient r; 0 if undefined."""
    from scipy.stats import pearsonr

    check_lengths(targets, predictions)
    if _constant(targets) or _constant(predictions):
        return {"pearson": 0.0}
    return {"pearson": 100.0 * float(pearsonr(targets, predictions).statistic)}


def spearman(targets: Sequence[float], predictions: Sequence[float]) -> dict[str, float]:
    """Computes Spearman's rank correlation coefficient; 0 if undefined."""
    from scipy.stats import spearmanr

    check_lengths(targets, predictions)
    if _constant(targets) or _constant(predictions):
        return {"spearman": 0.0}
    return {"spearman": 100.0 * float(spearmanr(targets, predictions).statistic)}


def exact_match(targets: Sequence[Any], predictions: Sequence[str]) -> dict[str, float]:
    """Computes the share of answers equal to a correct answer after SQuAD's normalization.

    Args:
        targets: The correct answer of each example, or several.
        predictions: The predicted answer of each example.
    """
    check_lengths(targets, predictions)
    hits = [
        any(normalize_answer(answer) == normalize_answer(prediction) for answer in _answers(target))
        for target, prediction in zip(targets, predictions, strict=True)
    ]
    return {"exact_match": 100.0 * float(np.mean(hits))}


def token_f1(targets: Sequence[Any], predictions: Sequence[str]) -> dict[str, float]:
    """Computes SQuAD's mean F1 over words, against the best match of each example's answers."""
    check_lengths(targets, predictions)
    values = [
        max(_overlap(answer, prediction) for answer in _answers(target))
        for target, prediction in zip(targets, predictions, strict=True)
    ]
    return {"token_f1": 100.0 * float(np.mean(values))}


def normalize_answer(text: str) -> str:
    """Lower-cases text and drops punctuation, articles and extra space, as SQuAD does."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def check_lengths(targets: Sequence[Any], predictions: Sequence[Any]) -> None:
    """Checks that targets and predictions are equal in number and not empty.

    Raises:
        ValueError: They are not.
    """
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
