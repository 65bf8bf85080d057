"""Pre-training of `t5_mini`: the initial weights, the step, and the mixture of exercises.

The recipe: an initialization in which two attention heads compare words and others look at
neighbors; exercises introduced in stages, with replay of earlier ones; more examples of exercises
not yet mastered; and Adam with larger updates of the embeddings.
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
    """The settings of pre-training.

    Attributes:
        seed: Seeds the initial weights and the text.
        batch_size: Examples per step.
        learning_rate: Peak of Adam's learning rate, held until the last stage.
        final_learning_rate: The rate that the last stage decays to, by a cosine.
        warmup_steps: Steps over which the rate rises from 0.
        second_moment_decay: Adam's beta 2.
        clip_norm: Largest global norm of a gradient.
        embedding_update_scale: Factor on the updates of the embedding table.
        mastered: Running accuracy, 0-1, from which an exercise counts as mastered.
        least: The fewest examples of a stage, however fast it is mastered.
        replay: Weight of a mastered exercise in the mixture; one not mastered has up to 1.5 more
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
    """Draws weights, then sets the encoder's self-attention to compare words and see neighbors.

    In heads 1 and 2 the query projection is half the key projection, and the relative bias of a
    position to itself is -8, so a word attends to equal words elsewhere. Head 3 has a bias of +3 to
    the previous position and head 4 to the next. Head 5 looks at the three positions before those
    and head 6 at the three after (+2, and -2 elsewhere). Other heads stay as drawn. Compare mimetic
    initialization (Trockman and Kolter 2023).
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
    """Returns the loss in nats per example, and whether each example `[B]` has all tokens right."""
    shifted = jnp.pad(batch.targets, ((0, 0), (1, 0)))[:, :-1]
    logits: Any = T5(config).apply({"params": params}, batch.inputs, shifted)
    real = batch.targets > 0
    nats = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
    loss = jnp.where(real, nats, 0.0).sum() / batch.inputs.shape[0]
    correct = ((logits.argmax(-1) == batch.targets) | ~real).all(-1)
    return loss, correct


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Returns clipping and Adam, without a learning rate, with scaled embedding updates."""

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
    """Draws exercises by their running accuracies, and batches their examples by length.

    Args:
        make: Draws the token ids of an exercise's inputs and targets.
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
        """Adds new exercises, with higher weights than all others, and removes retired ones."""
        self.accuracy |= dict.fromkeys(adds, 0.0)
        for exercise in retires:
            del self.accuracy[exercise]
        self._focus = frozenset(adds)

    def note(self, exercises: Sequence[Any], correct: np.ndarray) -> None:
        """Moves running accuracies by 1 % per example towards its correctness, 0 or 1."""
        for exercise, right in zip(exercises, correct, strict=True):
            if exercise in self.accuracy:
                self.accuracy[exercise] += 0.01 * (float(right) - self.accuracy[exercise])

    def batch(self) -> tuple[list[Any], Batch]:
        """Draws examples until one shape fills a batch; returns their exercises and the batch."""
        names = list(self.accuracy)
        weights = [self._weight(name) for name in names]
        edges = np.cumsum(weights) / sum(weights)
        while True:
            exercise = names[min(int(np.searchsorted(edges, self._uniform())), len(names) - 1)]
            inputs, targets = self._make(exercise)
            shape = next(s for s in _SHAPES if len(inputs) <= s[0] and len(targets) <= s[1])
            waiting = self._waiting[shape]
            waiting.append((exercise, inputs, targets))
            if len(waiting) == self._batch_size:
                self._waiting[shape] = []
                exercises, inputs, targets = zip(*waiting, strict=True)
                return list(exercises), Batch(padded(inputs, shape[0]), padded(targets, shape[1]))

    def _weight(self, exercise: Any) -> float:
        if exercise.skill == "spans":
            return 0.1  # cannot be mastered: most of its words are random
        missing = min(1.0, 4 * (1 - self.accuracy[exercise]))
        return self._replay + missing * (1.5 if exercise in self._focus else 0.5)


def padded(sequences: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Returns sequences as `[B, length]` int32, padded with 0."""
    array = np.zeros((len(sequences), length), np.int32)
    for i, sequence in enumerate(sequences):
        array[i, : len(sequence)] = sequence
    return array


def decayed(recipe: Recipe, done: float) -> float:
    """Returns the learning rate after the share `done`, 0-1, of the last stage."""
    low, high = recipe.final_learning_rate, recipe.learning_rate
    return low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
