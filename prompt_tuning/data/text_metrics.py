"""Metrics of written text, with SeqIO's signature, on the papers' scale of 0 to 100.

A target is one reference or several. sacrebleu and rouge-score are imported inside the functions
that use them, because importing them takes a good part of the time a training job takes to start.
"""

import itertools
from collections.abc import Sequence

import numpy as np

Target = str | Sequence[str]
"""A reference, or references that are all right."""

_ROUGE = ("rouge1", "rouge2", "rougeLsum")


def bleu(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Computes corpus BLEU-4 on sacrebleu's international tokens (Raffel et al. 2020, 2.4)."""
    import sacrebleu

    references = _references(targets, predictions)
    # sacrebleu wants the n-th reference of every example together, None where there are fewer.
    streams = list(itertools.zip_longest(*references))
    # `force` keeps it from warning of spaces before full stops, which data may well have.
    corpus = sacrebleu.corpus_bleu(list(predictions), streams, tokenize="intl", force=True)
    return {"bleu": corpus.score}


def rouge(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Computes the mean F of ROUGE-1, ROUGE-2 and ROUGE-L over whole summaries, without stemming.

    Of several references the best counts, for each of the three. ROUGE-L takes lines as sentences,
    and text in which full stops stand apart is broken after them, as in the evaluation of T5.
    """
    from rouge_score.rouge_scorer import RougeScorer

    references = _references(targets, predictions)
    scorer = RougeScorer(_ROUGE)
    scores = [
        scorer.score_multi([_lines(text) for text in wanted], _lines(prediction))
        for wanted, prediction in zip(references, predictions, strict=True)
    ]
    return {
        name: 100.0 * float(np.mean([score[name].fmeasure for score in scores])) for name in _ROUGE
    }


def _references(targets: Sequence[Target], predictions: Sequence[str]) -> list[tuple[str, ...]]:
    if len(targets) != len(predictions) or len(targets) == 0:
        raise ValueError(f"{len(targets)} targets and {len(predictions)} predictions")
    return [(target,) if isinstance(target, str) else tuple(target) for target in targets]


def _lines(text: str) -> str:
    return text.replace(" . ", " .\n")
