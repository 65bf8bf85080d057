"""How alike two tasks are: similarities of their task embeddings (Vu et al. 2022, section 4.1).

A task embedding is the task's prompt early in its tuning, `[P, H]`.
"""

from collections.abc import Callable, Mapping

import numpy as np

from prompt_tuning.types import UserError, nearest

Similarity = Callable[[np.ndarray, np.ndarray], float]


def mean_token(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the cosine of the two prompts' mean tokens: `cos(mean_i p_i, mean_j q_j)`."""
    return _cosine(first.mean(axis=0), second.mean(axis=0))


def per_token(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the mean cosine over all pairs of tokens: `mean_ij cos(p_i, q_j)`.

    It equals the dot product of the means of the unit-length tokens, which costs O(P H) and not
    O(P^2 H).
    """
    return float(_unit(first).mean(axis=0) @ _unit(second).mean(axis=0))


SIMILARITIES: dict[str, Similarity] = {"mean_token": mean_token, "per_token": per_token}


def find_similarity(name: str) -> Similarity:
    """Returns a similarity by its name.

    Raises:
        UserError: There is none of that name.
    """
    if name not in SIMILARITIES:
        raise UserError(
            f"no similarity '{name}'{nearest(name, SIMILARITIES)}; use {' or '.join(SIMILARITIES)}"
        )
    return SIMILARITIES[name]


def most_similar(
    embedding: np.ndarray, candidates: Mapping[str, np.ndarray], similarity: str
) -> tuple[str, float]:
    """Returns the name of the candidate most similar to `embedding`, and its similarity.

    Args:
        embedding: Task embedding `[P, H]`.
        candidates: Task embeddings by name; of equal ones the first wins.
        similarity: A name of `SIMILARITIES`.

    Raises:
        UserError: There is no similarity of that name.
    """
    measure = find_similarity(similarity)
    values = {name: measure(embedding, other) for name, other in candidates.items()}
    name = max(values, key=lambda name: values[name])
    return name, values[name]


def _unit(tokens: np.ndarray) -> np.ndarray:
    return tokens / np.maximum(np.linalg.norm(tokens, axis=-1, keepdims=True), 1e-12)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))
