"""Log-likelihoods of targets, and answering by ranking labels."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from prompt_tuning.models.family import PromptedModel
from prompt_tuning.models.prompted import Batch, Encoded
from prompt_tuning.prompts.bank import Bank
from prompt_tuning.types import Array, Params


def log_likelihood(model: PromptedModel, params: Params, bank: Bank, batch: Batch) -> Array:
    """Returns log p(target | input) in nats, `[B]`: the sum over the target's tokens, EOS included.

    Args:
        model: The prompted model.
        params: The model's parameters.
        bank: Soft prompts.
        batch: Inputs `[B, T]`, targets `[B, L]` and prompt ids `[B]`.
    """
    encoded = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
    return model.log_likelihood(params, encoded, batch.targets)


@dataclasses.dataclass(frozen=True)
class Rank:
    """Answers with the most likely label, for tasks that have labels; decodes nothing."""

    def __call__(
        self, model: PromptedModel, params: Params, encoded: Encoded, *, labels: Array, **_: Any
    ) -> Array:
        """Answers inputs; see `Decoder`."""
        return labels[jnp.argmax(self.scores(model, params, encoded, labels), axis=-1)]

    def scores(
        self, model: PromptedModel, params: Params, encoded: Encoded, labels: Array
    ) -> Array:
        """Returns the log-likelihood of every label for every input, `[B, K]`, in nats.

        Args:
            model: The prompted model.
            params: The model's parameters.
            encoded: The inputs, encoded once for all labels.
            labels: `[K, L]`, the tokens of each label with EOS, 0 at padding.
        """

        def score(label: Array) -> Array:
            targets = jnp.broadcast_to(label, (len(encoded.filler), len(label)))
            return model.log_likelihood(params, encoded, targets)

        return jax.vmap(score, out_axes=1)(labels)
