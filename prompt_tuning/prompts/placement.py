"""The placement of soft prompts among the embedded input tokens (Lester et al. 2021, section 2).

Every placement keeps the order of the tokens and leaves padding at the end. Its mask is False at
padding, which prompt tokens never are.
"""

from typing import Protocol

import jax.numpy as jnp

from prompt_tuning.types import Array, UserError, nearest


class Placement(Protocol):
    """Combines soft prompts with embedded inputs."""

    def __call__(self, prompts: Array, embedded: Array, tokens: Array, /) -> tuple[Array, Array]:
        """Returns the combined embeddings `[B, P+T, H]` and their mask `[B, P+T]`.

        Args:
            prompts: `[B, P, H]`, cast to the dtype of `embedded`.
            embedded: `[B, T, H]`, the embeddings of `tokens`.
            tokens: `[B, T]` int32, 0 at padding.
        """
        ...


def prefix(prompts: Array, embedded: Array, tokens: Array) -> tuple[Array, Array]:
    """Puts the prompt in front of the input."""
    mask = jnp.concatenate([_present(prompts), tokens > 0], axis=1)
    return jnp.concatenate([prompts.astype(embedded.dtype), embedded], axis=1), mask


def after_first_token(prompts: Array, embedded: Array, tokens: Array) -> tuple[Array, Array]:
    """Puts the prompt between the first token of the input and the rest."""
    present = tokens > 0
    mask = jnp.concatenate([present[:, :1], _present(prompts), present[:, 1:]], axis=1)
    prompts = prompts.astype(embedded.dtype)
    return jnp.concatenate([embedded[:, :1], prompts, embedded[:, 1:]], axis=1), mask


def suffix_before_eos(prompts: Array, embedded: Array, tokens: Array) -> tuple[Array, Array]:
    """Puts the prompt before the last token of the input, its EOS."""
    return _insert(prompts, embedded, jnp.maximum(_lengths(tokens) - 1, 0), _lengths(tokens))


def suffix_after_eos(prompts: Array, embedded: Array, tokens: Array) -> tuple[Array, Array]:
    """Puts the prompt between the last token of the input and the padding."""
    return _insert(prompts, embedded, _lengths(tokens), _lengths(tokens))


PLACEMENTS: dict[str, Placement] = {
    "prefix": prefix,
    "after_first_token": after_first_token,
    "suffix_before_eos": suffix_before_eos,
    "suffix_after_eos": suffix_after_eos,
}
"""The placements by their names in configs."""


def find_placement(name: str) -> Placement:
    """Returns the placement with a name.

    Raises:
        UserError: There is no such placement.
    """
    if name not in PLACEMENTS:
        hint = nearest(name, PLACEMENTS) or f"; known are {', '.join(PLACEMENTS)}"
        raise UserError(f"no placement is called '{name}'{hint}")
    return PLACEMENTS[name]


def _present(prompts: Array) -> Array:
    return jnp.ones(prompts.shape[:2], bool)


def _lengths(tokens: Array) -> Array:
    return jnp.sum(tokens > 0, axis=1, dtype=jnp.int32)


def _insert(
    prompts: Array, embedded: Array, positions: Array, lengths: Array
) -> tuple[Array, Array]:
    """Inserts `prompts` before positions `[B]` of inputs of `lengths` `[B]`."""
    size = prompts.shape[1]
    to = jnp.arange(size + embedded.shape[1], dtype=jnp.int32)[None, :]
    start = positions[:, None]
    from_token = jnp.where(to < start, to, to - size) + size
    inside = (to >= start) & (to < start + size)
    source = jnp.where(inside, to - start, from_token)
    rows = jnp.concatenate([prompts.astype(embedded.dtype), embedded], axis=1)
    return jnp.take_along_axis(rows, source[:, :, None], axis=1), to < lengths[:, None] + size
