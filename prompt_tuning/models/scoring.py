"""How likely targets are: sequence scores, and ranking of label strings."""

import jax
import jax.numpy as jnp

from prompt_tuning.models.prompted import Batch, PromptedT5, token_log_probs
from prompt_tuning.types import Array, Params


def log_likelihood(model: PromptedT5, params: Params, bank: Array, batch: Batch) -> Array:
    """Returns log p(target | input) in nats, `[B]`: the sum over the target's tokens, EOS included.

    Args:
        model: The prompted model.
        params: The model's parameters.
        bank: Soft prompts `[N, P, H]`.
        batch: Inputs `[B, T]`, targets `[B, L]` and prompt ids `[B]`.
    """
    return _sum(model.logits(params, bank, batch, None), batch.targets)


def rank(
    model: PromptedT5,
    params: Params,
    bank: Array,
    encoder_tokens: Array,
    prompt_id: Array,
    labels: Array,
) -> Array:
    """Returns the `log_likelihood` of every label for every input, `[B, K]`, in nats.

    Inputs are encoded once, and their keys and values projected once, for all labels.

    Args:
        model: The prompted model.
        params: The model's parameters.
        bank: Soft prompts `[N, P, H]`.
        encoder_tokens: `[B, T]`, 0 at padding.
        prompt_id: `[B]`, each example's row of `bank`.
        labels: `[K, L]`, the tokens of each label with EOS, 0 at padding.
    """
    encoded, mask = model.encode(params, bank, encoder_tokens, prompt_id, None)

    def score(label: Array) -> Array:
        targets = jnp.broadcast_to(label, (encoded.shape[0], label.shape[0]))
        return _sum(model.decode(params, encoded, mask, targets, None), targets)

    return jax.vmap(score, out_axes=1)(labels)


def _sum(logits: Array, targets: Array) -> Array:
    log_probs, _ = token_log_probs(logits, targets)
    return jnp.sum(jnp.where(targets > 0, log_probs, 0.0), axis=-1)
