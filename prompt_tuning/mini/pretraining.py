"""Pre-training of `t5_mini`: the initial weights, the step, and the loop over a curriculum.

The recipe in words: an initialization that lets two attention heads compare words and two look at
neighbors; exercises introduced stage by stage, with everything earlier in replay; more examples
of what is not yet mastered; Adam with larger updates of the embeddings.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax

from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.network import T5
from prompt_tuning.types import Array

Params = Any

_SHAPES = ((16, 2), (24, 2), (32, 2), (40, 2), (48, 2), (24, 10), (48, 10))  # (T, L)


@dataclass(frozen=True)
class Recipe:
    """Describes how to pre-train.

    Attributes:
        seed: Of the initial weights and the text.
        batch_size: Examples per step.
        learning_rate: Peak of Adam's learning rate, held until the last stage.
        final_learning_rate: What the last stage decays to, by a cosine.
        warmup_steps: Steps over which the rate rises from 0.
        second_moment_decay: Adam's beta 2.
        clip_norm: Largest global norm of a gradient.
        embedding_update_scale: Factor on the updates of the embedding table.
        mastered: Running accuracy, 0-1, from which an exercise counts as mastered.
        least: Examples that every stage gets, however fast it is mastered.
        replay: Weight of a mastered exercise in the mixture; an unmastered one has up to 1.5 more
            in the stage that adds it, and up to 0.5 more later.
    """

    seed: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float
    warmup_steps: int
    second_moment_decay: float
    clip_norm: float
    embedding_update_scale: float
    mastered: float
    least: int
    replay: float


class Batch(NamedTuple):
    """Token ids of one step: inputs `[B, T]` and targets `[B, L]`, zero at padding."""

    inputs: Array | np.ndarray
    targets: Array | np.ndarray


def initial_params(config: T5Config, seed: int) -> Params:
    """Draws weights, then sets up the encoder's self-attention to compare and to look aside.

    In the first two heads the query projection is half of the key projection, and the relative
    bias of a position to itself is -8: a word attends to equal words elsewhere. The third has bias
    +3 to the previous position and the fourth to the next; the fifth looks at the three positions
    before that and the sixth at the three after (+2, and -2 elsewhere); the rest stay as drawn
    (compare "mimetic initialization", Trockman and Kolter 2023).
    """
    tokens = jnp.ones((1, 4), jnp.int32)
    params = jax.jit(T5(config).init)(jax.random.key(seed), tokens, tokens)["params"]
    flat = {k: np.array(v) for k, v in flax.traverse_util.flatten_dict(params, sep="/").items()}
    width = 2 * config.head_dim
    for layer in range(config.num_encoder_layers):
        attention = f"encoder/layers_{layer}/attention"
        flat[f"{attention}/query/kernel"][:, :width] = (
            0.5 * flat[f"{attention}/key/kernel"][:, :width]
        )
    bias = flat["encoder/relpos_bias/rel_embedding"]  # [heads, buckets]
    before, after = 0, config.relative_buckets // 2  # first buckets of the two directions
    bias[:2, 0] = -8.0
    bias[2, before + 1] = 3.0
    bias[3, after + 1] = 3.0
    bias[4:6] = -2.0
    bias[4, before + 2 : before + 5] = 2.0
    bias[5, after + 2 : after + 5] = 2.0
    params = flax.traverse_util.unflatten_dict(flat, sep="/")
    return jax.tree.map(jnp.asarray, params)


def loss_and_correct(config: T5Config, params: Params, batch: Batch) -> tuple[Array, Array]:
    """Returns the loss in nats per example, and which examples `[B]` are right at every token."""
    shifted = jnp.pad(batch.targets, ((0, 0), (1, 0)))[:, :-1]
    logits: Any = T5(config).apply({"params": params}, batch.inputs, shifted)
    real = batch.targets > 0
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
    loss = jnp.where(real, nats, 0.0).sum() / batch.inputs.shape[0]
    correct = ((logits.argmax(-1) == batch.targets) | ~real).all(-1)
    return loss, correct


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Returns Adam without a learning rate, after clipping, with scaled embedding updates."""

    def scale(updates: Params) -> Params:
        table = updates["token_embedder"]["embedding"] * recipe.embedding_update_scale
        return {**updates, "token_embedder": {"embedding": table}}

    return optax.chain(
        optax.clip_by_global_norm(recipe.clip_norm),
        optax.scale_by_adam(b2=recipe.second_moment_decay),
        optax.stateless(lambda updates, params: scale(updates)),
    )


def step_function(config: T5Config, recipe: Recipe) -> Callable:
    """Returns the jitted step `(params, state, batch, rate) -> (params, state, loss, correct)`."""
    tx = optimizer(recipe)
    loss = jax.value_and_grad(functools.partial(loss_and_correct, config), has_aux=True)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Params, state: optax.OptState, batch: Batch, rate: Array):
        (value, correct), gradient = loss(params, batch)
        updates, state = tx.update(gradient, state, params)
        params = jax.tree.map(lambda p, u: p - rate * u, params, updates)
        return params, state, value, correct

    return step


class Mixture:
    """Keeps running accuracies of exercises and batches examples of them by length.

    Args:
        make: Draws token ids of inputs and targets for an exercise.
        uniform: Draws from [0, 1).
        batch_size: Examples per batch, B.
        replay: Weight of a mastered exercise.
    """

    def __init__(
        self,
        make: Callable[[Any], Sequence[list[int]]],
        uniform: Callable[[], float],
        batch_size: int,
        replay: float,
    ):
        self._make = make
        self._uniform = uniform
        self._batch_size = batch_size
        self._replay = replay
        self._waiting: dict[tuple[int, int], list[tuple[Any, list[int], list[int]]]] = {
            shape: [] for shape in _SHAPES
        }
        self.accuracy: dict[Any, float] = {}
        self._focus: frozenset[Any] = frozenset()

    def change(self, adds: Sequence[Any], retires: Sequence[Any]) -> None:
        """Starts exercises, unknown so far, and ends others; the new ones come first."""
        self.accuracy |= dict.fromkeys(adds, 0.0)
        for exercise in retires:
            del self.accuracy[exercise]
        self._focus = frozenset(adds)

    def note(self, exercises: Sequence[Any], correct: np.ndarray) -> None:
        """Moves running accuracies by 1 % per example towards what was right."""
        for exercise, right in zip(exercises, correct, strict=True):
            if exercise in self.accuracy:
                self.accuracy[exercise] += 0.01 * (float(right) - self.accuracy[exercise])

    def batch(self) -> tuple[list[Any], Batch]:
        """Draws examples until those of one shape fill a batch."""
        names = list(self.accuracy)
        weights = [self._weight(name) for name in names]
        edges = np.cumsum(weights) / sum(weights)
        while True:
            exercise = names[min(int(np.searchsorted(edges, self._uniform())), len(names) - 1)]
            inputs, targets = self._make(exercise)
            shape = next(s for s in _SHAPES if len(inputs) <= s[0] and len(targets) <= s[1])
            rows = self._waiting[shape]
            rows.append((exercise, inputs, targets))
            if len(rows) == self._batch_size:
                self._waiting[shape] = []
                return [row[0] for row in rows], Batch(
                    padded([row[1] for row in rows], shape[0]),
                    padded([row[2] for row in rows], shape[1]),
                )

    def _weight(self, exercise: Any) -> float:
        if exercise.skill == "spans":
            return 0.1  # cannot be mastered: most of its words are free choices
        missing = min(1.0, 4 * (1 - self.accuracy[exercise]))
        return self._replay + missing * (1.5 if exercise in self._focus else 0.5)


def padded(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Returns `[B, length]` int32, zero behind each row."""
    out = np.zeros((len(rows), length), np.int32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


def decayed(recipe: Recipe, done: float) -> float:
    """Returns the learning rate when the part `done`, 0-1, of the last stage is over."""
    low, high = recipe.final_learning_rate, recipe.learning_rate
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
