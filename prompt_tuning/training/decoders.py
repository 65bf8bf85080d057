"""How answers are read off the model: greedy, beam search, nucleus sampling, or ranked labels."""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp

from prompt_tuning.models.beam import beam_search
from prompt_tuning.models.decoding import greedy, sample
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.models.scoring import rank
from prompt_tuning.types import Array, Params


class Decoder(Protocol):
    """Turns inputs into the tokens of answers."""

    def __call__(
        self,
        model: PromptedT5,
        params: Params,
        bank: Array,
        encoder_tokens: Array,
        prompt_id: Array,
        number: Array,
        labels: Array,
        *,
        length: int,
    ) -> Array:
        """Returns tokens `[B, length]`, or `[B, L]` of labels; 0 after EOS.

        Args:
            model: The prompted model.
            params: The model's parameters.
            bank: Soft prompts `[N, P, H]`.
            encoder_tokens: `[B, T]`, 0 at padding.
            prompt_id: `[B]`, each example's row of `bank`.
            number: `[B]`, each example's number in its split; decides its random draws, whatever
                the other examples of the batch are.
            labels: `[K, L]`, the tokens of each label with EOS; empty for open answers.
            length: Tokens to decode at most, EOS included.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Greedy:
    """Takes the most likely token at every step."""

    def __call__(
        self, model, params, bank, encoder_tokens, prompt_id, number, labels, *, length
    ) -> Array:
        """See `Decoder`."""
        del number, labels
        return greedy(model, params, bank, encoder_tokens, prompt_id, length=length)


@dataclasses.dataclass(frozen=True)
class Beam:
    """Takes the best sequence of a beam search.

    Attributes:
        beams: Sequences kept.
        alpha: Exponent of the length penalty.
    """

    beams: int
    alpha: float

    def __call__(
        self, model, params, bank, encoder_tokens, prompt_id, number, labels, *, length
    ) -> Array:
        """See `Decoder`."""
        del number, labels
        sequences, _ = beam_search(
            model,
            params,
            bank,
            encoder_tokens,
            prompt_id,
            beams=self.beams,
            length=length,
            alpha=self.alpha,
        )
        return sequences[:, 0]


@dataclasses.dataclass(frozen=True)
class Nucleus:
    """Samples from the most likely tokens that hold a share of the probability.

    Attributes:
        temperature: Divides the logits.
        top_p: That share, in (0, 1].
        seed: Decides the draws, with each example's number.
    """

    temperature: float
    top_p: float
    seed: int

    def __call__(
        self, model, params, bank, encoder_tokens, prompt_id, number, labels, *, length
    ) -> Array:
        """See `Decoder`."""
        del labels
        key = jax.random.key(self.seed)
        return sample(
            model,
            params,
            bank,
            encoder_tokens,
            prompt_id,
            jax.vmap(lambda n: jax.random.fold_in(key, n))(number),
            length=length,
            temperature=self.temperature,
            top_p=self.top_p,
        )


@dataclasses.dataclass(frozen=True)
class Rank:
    """Takes the label whose tokens are most likely, of tasks that have labels; decodes nothing."""

    def __call__(
        self, model, params, bank, encoder_tokens, prompt_id, number, labels, *, length
    ) -> Array:
        """See `Decoder`."""
        del number, length
        scores = rank(model, params, bank, encoder_tokens, prompt_id, labels)
        return labels[jnp.argmax(scores, axis=-1)]
