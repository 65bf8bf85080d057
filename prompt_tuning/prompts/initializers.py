"""What a soft prompt is before tuning (Lester et al. 2021, section 3.2).

Every initialiser is a closure `(key, shape) -> [P, H]` float32, with shape `(P, H)`. Token ids
come from the caller's vocabulary; nothing here tokenises. Random numbers are JAX's; the rest is
done in NumPy, as JAX would compile a program for each operation.
"""

import warnings
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from prompt_tuning.types import Array, UserError, nearest

Initializer = Callable[[Array, tuple[int, int]], np.ndarray]

UNIFORM_RANGES: dict[str, tuple[float, float]] = {
    "paper": (-0.5, 0.5),
    "reference_code": (0.0, 0.5),
}
"""Ranges of `uniform`: of Lester et al. 2021, and of the code its authors released."""


def uniform(bounds: str) -> Initializer:
    """Draws every number uniformly from one of `UNIFORM_RANGES`.

    Raises:
        UserError: `bounds` is not a key of `UNIFORM_RANGES`.
    """
    if bounds not in UNIFORM_RANGES:
        hint = nearest(bounds, UNIFORM_RANGES) or f"; use {' or '.join(UNIFORM_RANGES)}"
        raise UserError(f"uniform initialiser: no range is called {bounds!r}{hint}")
    low, high = UNIFORM_RANGES[bounds]
    return lambda key, shape: np.asarray(_draw_uniform(key, shape, low, high))


def sampled_vocabulary(embeddings: ArrayLike, population: int | None) -> Initializer:
    """Draws P distinct rows from the first `population` rows of the embedding table.

    Rows of a SentencePiece vocabulary are sorted by likelihood, so the first are the most common.
    A population beyond the table is cut to it, and one smaller than P is drawn from with
    replacement; both warn.

    Args:
        embeddings: The frozen model's table, `[V, H]`.
        population: Number of rows to draw from (5,000 in the paper), or None for all.

    Raises:
        UserError: `population` is not positive, or (on the call) H differs.
    """
    table = np.asarray(embeddings)
    if population is not None and population <= 0:
        raise UserError(
            f"sampled vocabulary: population is {population}; give a positive number of rows,"
            " or None for the whole table"
        )
    if population is not None and population > table.shape[0]:
        warnings.warn(
            f"sampled vocabulary: population {population} is larger than the embedding table;"
            f" drawing from all {table.shape[0]} rows",
            stacklevel=2,
        )
    rows = table.shape[0] if population is None else min(population, table.shape[0])

    def initialize(key: Array, shape: tuple[int, int]) -> np.ndarray:
        _check_width("sampled vocabulary", table, shape)
        distinct = shape[0] <= rows
        if not distinct:
            warnings.warn(
                f"sampled vocabulary: {shape[0]} prompt tokens from a population of {rows} rows;"
                " drawing with replacement",
                stacklevel=2,
            )
        ids = _draw_rows(key, rows, shape[0], not distinct)
        return table[np.asarray(ids)].astype(np.float32)

    return initialize


def class_labels(
    embeddings: ArrayLike, label_pieces: Sequence[Sequence[int]], fallback: Initializer
) -> Initializer:
    """Starts prompt token i from the mean embedding of the pieces of class label i.

    Tokens beyond the labels are those of `fallback`; labels beyond P are dropped with a warning.

    Args:
        embeddings: The frozen model's table, `[V, H]`.
        label_pieces: The token ids of each label, without EOS.
        fallback: Initialises the other prompt tokens.

    Raises:
        UserError: There is no label, one has no piece, an id is not a row of the table, or (on the
            call) H differs.
    """
    table = np.asarray(embeddings)
    if not label_pieces:
        raise UserError(
            "class labels: there are no labels; give them, or use another "
            "initialiser, such as PROMPT_INIT=@SampledVocab()"
        )
    for i, pieces in enumerate(label_pieces):
        if not pieces:
            raise UserError(f"class labels: label {i} has no pieces; remove it or write it out")
        _check_ids("class labels", table, pieces)

    def initialize(key: Array, shape: tuple[int, int]) -> np.ndarray:
        _check_width("class labels", table, shape)
        if len(label_pieces) > shape[0]:
            warnings.warn(
                f"class labels: {len(label_pieces)} labels for {shape[0]} prompt tokens;"
                " dropping the last ones",
                stacklevel=2,
            )
        means = [
            # Not `mean`: this is jax.numpy.mean to the bit, for labels of up to 7 pieces.
            table[np.asarray(pieces)].astype(np.float32).sum(axis=0) * np.float32(1 / len(pieces))
            for pieces in label_pieces[: shape[0]]
        ]
        return _filled(np.stack(means), key, shape, fallback)

    return initialize


def from_pieces(embeddings: ArrayLike, pieces: Sequence[int], fallback: Initializer) -> Initializer:
    """Starts prompt token i from the embedding of piece i of a text, cut at P pieces.

    Tokens beyond the text are those of `fallback`.

    Raises:
        UserError: There is no piece, an id is not a row of the table, or (on the call) H differs.
    """
    table = np.asarray(embeddings)
    if not pieces:
        raise UserError("string initialiser: the text has no pieces; give one that is not empty")
    _check_ids("string initialiser", table, pieces)

    def initialize(key: Array, shape: tuple[int, int]) -> np.ndarray:
        _check_width("string initialiser", table, shape)
        rows = table[np.asarray(pieces[: shape[0]])].astype(np.float32)
        return _filled(rows, key, shape, fallback)

    return initialize


_draw_uniform = jax.jit(
    lambda key, shape, low, high: jax.random.uniform(key, shape, jnp.float32, low, high),
    static_argnums=(1, 2, 3),
)
_draw_rows = jax.jit(
    lambda key, rows, count, replace: jax.random.choice(key, rows, (count,), replace),
    static_argnums=(1, 2, 3),
)


def _check_width(what: str, table: np.ndarray, shape: tuple[int, int]) -> None:
    if table.shape[1] != shape[1]:
        raise UserError(
            f"{what}: the embedding table is {table.shape[1]} wide, the prompt {shape[1]};"
            " use the embeddings of the model that the prompt is for"
        )


def _check_ids(what: str, table: np.ndarray, ids: Sequence[int]) -> None:
    wrong = [i for i in ids if not 0 <= i < table.shape[0]]
    if wrong:
        raise UserError(
            f"{what}: id {wrong[0]} is not a row of the embedding table, which has"
            f" {table.shape[0]}; tokenise with the model's own vocabulary"
        )


def _filled(
    rows: np.ndarray, key: Array, shape: tuple[int, int], fallback: Initializer
) -> np.ndarray:
    if rows.shape[0] == shape[0]:
        return rows
    # The fallback draws the whole prompt, so that its part is what it would be by itself.
    return np.concatenate([rows, fallback(key, shape)[rows.shape[0] :]])
