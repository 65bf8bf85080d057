"""Makes the project's own golden outputs: `python tests/golden/make_golden.py`.

Two small models (T5 1.1; T5 1.0 with ReLU and tied embeddings) get parameters from a fixed NumPy
seed; what they compute for a few examples, with every placement, is stored beside this file. The
outputs were stored when the model agreed with the reference implementation's golden files.
"""

import dataclasses
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from prompt_tuning.models.beam import Beam
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.prompted import Batch, cross_entropy
from prompt_tuning.models.scoring import log_likelihood
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.prompted import PromptedT5
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.placement import PLACEMENTS
from prompt_tuning.types import Array, Params

Z_LOSS = 1e-4

_T5_1_1 = T5Config(
    name="t5_1_1",
    vocab_size=40,
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=24,
    num_encoder_layers=2,
    num_decoder_layers=2,
    activations=("gelu", "linear"),
    tied_embeddings=False,
)
_T5_1_0 = dataclasses.replace(_T5_1_1, name="t5_1_0", activations=("relu",), tied_embeddings=True)
CONFIGS = {config.name: config for config in (_T5_1_1, _T5_1_0)}


def parameters(config: T5Config, seed: int) -> Params:
    """Returns parameters of a scale at which every part of the network matters."""
    # RandomState, because its streams never change between versions of NumPy.
    random = np.random.RandomState(seed)
    flat = {}
    for name, shape in parameter_shapes(config).items():
        values = random.standard_normal(shape)
        if name.endswith("scale"):
            values = 1.0 + 0.3 * values
        elif name.endswith("kernel"):
            values = values / np.sqrt(shape[0])
        elif name.endswith("embedding") and config.tied_embeddings:
            # Otherwise every token predicts itself.
            values = 0.3 * values
        flat[name] = values.astype(np.float32)
    return unflatten_dict(flat, sep="/")


def examples() -> tuple[Batch, Array]:
    """Returns four examples of different lengths, once per placement, and a bank `[12, 4, 16]`.

    Each placement has three prompts of its own, so that the prompt gradients stay apart.
    """
    random = np.random.RandomState(1)
    tokens = np.zeros((4, 9), np.int32)
    targets = np.zeros((4, 5), np.int32)
    for row, (length, target_length) in enumerate([(9, 5), (6, 2), (1, 3), (7, 1)]):
        tokens[row, :length] = random.randint(2, 40, length)
        tokens[row, length - 1] = 1
        targets[row, :target_length] = random.randint(2, 40, target_length)
        targets[row, target_length - 1] = 1
    prompt_id = np.concatenate([np.array([0, 2, 1, 0]) + 3 * i for i in range(len(PLACEMENTS))])
    bank = np.tile(random.standard_normal((3, 4, 16)), (len(PLACEMENTS), 1, 1))
    tokens, targets = (np.tile(x, (len(PLACEMENTS), 1)) for x in (tokens, targets))
    batch = Batch(*(jnp.asarray(x, jnp.int32) for x in (tokens, targets, prompt_id)))
    return batch, jnp.asarray(bank, jnp.float32)


def every_placement(prompts: Array, embedded: Array, tokens: Array) -> tuple[Array, Array]:
    """Gives each quarter of the batch a placement of its own: one compilation does for all."""
    quarters = zip(
        *(jnp.split(x, len(PLACEMENTS)) for x in (prompts, embedded, tokens)), strict=True
    )
    placed = [place(*q) for place, q in zip(PLACEMENTS.values(), quarters, strict=True)]
    embedded, mask = (jnp.concatenate(parts) for parts in zip(*placed, strict=True))
    return embedded, mask


def outputs(config: T5Config) -> dict[str, np.ndarray]:
    """Returns everything that the model computes for the examples."""
    batch, bank = examples()
    model = PromptedT5(config, every_placement)

    def loss(bank: PromptBank, params: Params, batch: Batch) -> tuple[Array, dict[str, Array]]:
        encoded = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
        logits = model.decode(params, encoded, batch.targets, None)
        losses = cross_entropy(logits, batch.targets, Z_LOSS)
        return jnp.sum(losses), {"encoded": encoded.states, "logits": logits, "losses": losses}

    # One function, so that what its parts share is compiled once.
    def compute(params: Params, bank: PromptBank, batch: Batch) -> dict[str, Array]:
        (_, computed), gradient = jax.value_and_grad(loss, has_aux=True)(bank, params, batch)
        encoded = model.encode(params, bank, batch.encoder_tokens, batch.prompt_id, None)
        tokens, scores = Beam(beams=3, alpha=0.6).search(model, params, encoded, length=5)
        return computed | {
            "prompt_gradient": gradient.prompts,
            "scores": log_likelihood(model, params, bank, batch),
            "greedy": Greedy()(model, params, encoded, length=5),
            "beam_tokens": tokens,
            "beam_scores": scores,
        }

    computed = jax.jit(compute)(parameters(config, seed=0), PromptBank(bank), batch)
    return {name: np.asarray(value) for name, value in computed.items()}


def path(config: T5Config) -> Path:
    """Returns where the outputs of a model are stored."""
    return Path(__file__).parent / f"{config.name}.npz"


def main() -> None:
    """Stores the outputs of every model."""
    for config in CONFIGS.values():
        temporary = path(config).with_suffix(".tmp.npz")
        np.savez_compressed(temporary, allow_pickle=False, **outputs(config))
        os.replace(temporary, path(config))


if __name__ == "__main__":
    main()
