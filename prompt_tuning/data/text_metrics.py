"""Metrics of generated text, with SeqIO's signature, on the papers' scale of 0 to 100.

A target is one reference or several. sacrebleu and rouge-score are imported inside functions,
because their imports would slow down the start of training.
"""

import itertools
from collections.abc import Sequence

import numpy as np

Target = str | Sequence[str]
"""A reference, or several."""

_ROUGE = ("rouge1", "rouge2", "rougeLsum")


def bleu(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Computes corpus BLEU-4 with sacrebleu's `intl` tokenizer (Raffel et al. 2020, 2.4)."""
    import sacrebleu

    references = _references(targets, predictions)
    # sacrebleu takes the n-th references of all examples together; None if there are fewer.
    streams = list(itertools.zip_longest(*references))
    # `force` silences warnings about spaces before full stops, which are common in data.
    corpus = sacrebleu.corpus_bleu(list(predictions), streams, tokenize="intl", force=True)
    return {"bleu": corpus.score}


def rouge(targets: Sequence[Target], predictions: Sequence[str]) -> dict[str, float]:
    """Computes the mean F1 of ROUGE-1, ROUGE-2 and summary-level ROUGE-L, without stemming.

    Each uses the best of several references. ROUGE-L treats lines as sentences; as in T5's
    evaluation, text is split into lines after full stops with spaces around them.
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
