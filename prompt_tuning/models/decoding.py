"""Greedy decoding and nucleus sampling with a KV cache.

Both stop when every row has produced EOS. A row whose input is all padding (to fill up a batch)
counts as finished from the start, and its output is all 0.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import DecodeState, Encoded
from prompt_tuning.types import Array, Params, UserError

EOS = 1


class Decoder(Protocol):
    """Turns encoded inputs into the tokens of answers; hashable."""

    def __call__(
        self,
        model: PromptedModel,
        params: Params,
        encoded: Encoded,
        *,
        length: int,
        number: Array,
        labels: Array,
    ) -> Array:
        """Returns tokens `[B, length]`, or `[B, L]` for labels, int32; 0 after EOS.

        Args:
            model: The prompted model.
            params: The model's parameters.
            encoded: The inputs.
            length: The maximum number of decoded tokens, EOS included.
            number: `[B]`, each example's number in its split, which seeds its random draws
                whatever else is in the batch.
            labels: `[K, L]`, the tokens of each label with EOS, 0 at padding; empty for open
                answers.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Greedy:
    """Decodes the most likely token at every step."""

    def __call__(
        self, model: PromptedModel, params: Params, encoded: Encoded, *, length: int, **_: Any
    ) -> Array:
        """Answers inputs; see `Decoder`."""

        def most_likely(logits: Array, step: Array) -> Array:
            del step
            return jnp.argmax(logits, axis=-1).astype(jnp.int32)

        return _decode(model, params, encoded, length, most_likely)


@dataclasses.dataclass(frozen=True)
class Nucleus:
    """Samples from the smallest set of tokens with probability `top_p` (Holtzman et al. 2020).

    The draws of an example depend on the seed and its number, not on its batch.

    Attributes:
        temperature: Divides the logits; above 0.
        top_p: Probability of the nucleus, in (0, 1].
        seed: Random seed.

    Raises:
        UserError: `temperature` or `top_p` is out of range.
    """

    temperature: float
    top_p: float
    seed: int

    def __post_init__(self):
        if not self.temperature > 0.0:
            raise UserError(f"sampling: temperature is {self.temperature}; it must be above 0")
        if not 0.0 < self.top_p <= 1.0:
            raise UserError(f"sampling: top_p is {self.top_p}; it must be above 0 and at most 1")

    def __call__(
        self,
        model: PromptedModel,
        params: Params,
        encoded: Encoded,
        *,
        length: int,
        number: Array,
        **_: Any,
    ) -> Array:
        """Answers inputs; see `Decoder`."""
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(self.seed), number)

        def draw(logits: Array, step: Array) -> Array:
            step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
            likely = nucleus(logits / self.temperature, self.top_p)
            return jax.vmap(jax.random.categorical)(step_keys, likely).astype(jnp.int32)

        return _decode(model, params, encoded, length, draw)


def nucleus(logits: Array, top_p: float) -> Array:
    """Sets logits `[..., V]` outside the nucleus to -inf.

    The nucleus is the smallest set of most likely tokens whose probabilities sum to at least
    `top_p`; it is never empty.
    """
    if top_p >= 1.0:
        return logits
    order = jnp.argsort(logits, axis=-1, descending=True)
    probabilities = jnp.take_along_axis(jax.nn.softmax(logits, axis=-1), order, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities
    ranks = jnp.argsort(order, axis=-1)
    return jnp.where(jnp.take_along_axis(before < top_p, ranks, axis=-1), logits, -jnp.inf)


def _decode(
    model: PromptedModel,
    params: Params,
    encoded: Encoded,
    length: int,
    choose: Callable[[Array, Array], Array],
) -> Array:
    """Decodes one token per row and step with `choose(logits [B, V], step) -> [B]`."""

    def go_on(carry: tuple[Array, Array, Array, DecodeState]) -> Array:
        _, _, done, state = carry
        return (state.index < length) & ~jnp.all(done)

    def step(
        carry: tuple[Array, Array, Array, DecodeState],
    ) -> tuple[Array, Array, Array, DecodeState]:
        output, last, done, state = carry
        index = state.index
        logits, state = model.decode_step(params, last, state)
        token = jnp.where(done, 0, choose(logits, index))
        output = jax.lax.dynamic_update_slice_in_dim(output, token[:, None], index, axis=1)
        return output, token, done | (token == EOS), state

    output = jnp.zeros((len(encoded.filler), length), jnp.int32)
    state = model.start_decoding(params, encoded, length)
    carry = (output, output[:, 0], encoded.filler, state)
    return jax.lax.while_loop(go_on, step, carry)[0]
