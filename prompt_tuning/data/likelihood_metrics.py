"""Metrics of target likelihood, with SeqIO's signature, on a scale of 0 to 100."""

import math
from collections.abc import Sequence


def token_probability(targets: Sequence[int], scores: Sequence[float]) -> dict[str, float]:
    """Computes 100 / perplexity: the geometric mean probability of a target token.

    This is 100 exp(sum of log p(target | input) / number of tokens), over all targets.

    Args:
        targets: The number of tokens in each target, end of sequence included.
        scores: log p(target | input) of each target, in nats.
    """
    if len(targets) != len(scores) or sum(targets) == 0:
        raise ValueError(f"{len(targets)} targets of {sum(targets)} tokens, {len(scores)} scores")
    return {"token_probability": 100.0 * math.exp(math.fsum(scores) / sum(targets))}
