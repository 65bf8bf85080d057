"""Similarities of task embeddings.

A task embedding is the task's prompt early in its tuning, `[P, H]` (Vu et al. 2022, section 4.1).
Each similarity is a dot product of two *signatures*, one vector `[H]` per prompt. So N prompts are
compared in O(N P H), and a library stores one vector per prompt and similarity.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from prompt_tuning.types import UserError, nearest

Signature = Callable[[np.ndarray], np.ndarray]
"""Maps prompts `[..., P, H]` to their signatures `[..., H]`."""


def mean_token(prompts: np.ndarray) -> np.ndarray:
    """Returns the mean token `[..., H]`, at unit length.

    The dot product of two is the cosine of the mean tokens: `cos(mean_i p_i, mean_j q_j)`.
    """
    return _unit(prompts.mean(axis=-2))


def per_token(prompts: np.ndarray) -> np.ndarray:
    """Returns the mean of the tokens at unit length, `[..., H]`.

    The dot product of two is the mean cosine over all pairs of tokens, `mean_ij cos(p_i, q_j)`, at
    the cost of O(P H) and not O(P^2 H).
    """
    return _unit(prompts).mean(axis=-2)


SIMILARITIES: Mapping[str, Signature] = {"mean_token": mean_token, "per_token": per_token}

_DISPLAY_NAMES = {
    "mean_token": "cosine of mean tokens",
    "per_token": "per-token average cosine",
}


def display_name(similarity: str) -> str:
    """Returns the name of a similarity in text and figures."""
    return _DISPLAY_NAMES.get(similarity, similarity)


def find_similarity(name: str) -> Signature:
    """Returns the signature of a similarity by its name.

    Raises:
        UserError: No similarity has that name.
    """
    if name not in SIMILARITIES:
        raise UserError(
            f"no similarity '{name}'{nearest(name, SIMILARITIES)}; use {' or '.join(SIMILARITIES)}"
        )
    return SIMILARITIES[name]


def similarities(queries: np.ndarray, keys: np.ndarray, similarity: str) -> np.ndarray:
    """Returns the similarity of every query to every key.

    Args:
        queries: Prompts `[..., P, H]`.
        keys: Prompts `[N, Q, H]`, of any length Q.
        similarity: A name of `SIMILARITIES`.

    Returns:
        `[..., N]`, each in [-1, 1].

    Raises:
        UserError: No similarity has that name.
    """
    signature = find_similarity(similarity)
    return signature(queries) @ signature(keys).T


def task_similarities(
    queries: Iterable[np.ndarray], keys: Iterable[np.ndarray], similarity: str
) -> np.ndarray:
    """Returns the similarity of every task to every other: the mean over all pairs of seeds.

    Args:
        queries: Task embeddings of T tasks, `[J, P, H]` from J seeds each, which may differ.
        keys: Task embeddings of S tasks, `[I, Q, H]` from I seeds each.
        similarity: A name of `SIMILARITIES`.

    Returns:
        `[T, S]`.

    Raises:
        UserError: No similarity has that name.
    """
    signature = find_similarity(similarity)
    # The mean of the dot products over seed pairs is the dot product of the means over seeds.
    first, second = (
        np.stack([signature(task).mean(axis=0) for task in tasks]) for tasks in (queries, keys)
    )
    return first @ second.T


def ranked(values: np.ndarray) -> np.ndarray:
    """Returns the candidates' indices, most similar first; ties keep their order.

    Args:
        values: Similarities `[..., C]`.
    """
    return np.argsort(-values, axis=-1, kind="stable")


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
