"""Golden files of the reference implementation: a small T5 1.1 that reads a prompt."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.prompts.placement import prefix

CONFIG = T5Config(
    name="golden",
    vocab_size=128,
    emb_dim=32,
    num_heads=4,
    head_dim=8,
    mlp_dim=64,
    num_encoder_layers=3,
    num_decoder_layers=2,
    activations=("gelu", "linear"),
    tied_embeddings=False,
)


class Reference(NamedTuple):
    """What the reference was given, and what it returned.

    Attributes:
        model: The model as this project has it.
        flat_params: The model's parameters by name, joined by `/`.
        prompt: `[P, H]`.
        encoder_tokens: `[B, T]`.
        targets: `[B, L]`.
        outputs: What it returned, by name.
    """

    model: PromptedT5
    flat_params: dict[str, np.ndarray]
    prompt: jax.Array
    encoder_tokens: jax.Array
    targets: jax.Array
    outputs: dict[str, np.ndarray]


def read_reference(shared_data: Path) -> Reference:
    """Reads the golden files."""
    folder = shared_data / "golden" / "t5_1_1_prefix_prompt"
    batch, params, outputs = (
        dict(np.load(folder / f"{name}.npz")) for name in ("batch", "params", "outputs")
    )
    return Reference(
        model=PromptedT5(CONFIG, prefix),
        prompt=jnp.asarray(params.pop("encoder/prompt/prompt/prompt")),
        flat_params=params,
        encoder_tokens=jnp.asarray(batch["encoder_input_tokens"]),
        targets=jnp.asarray(batch["decoder_target_tokens"]),
        outputs=outputs,
    )
