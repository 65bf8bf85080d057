"""Adafactor as prompt tuning uses it (Shazeer and Stern 2018; Lester et al. 2021, section 3)."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import optax

from prompt_tuning.types import Array


@dataclasses.dataclass(frozen=True)
class Adafactor:
    """Updates one soft prompt: `p <- (1 - weight_decay) p - learning_rate clip(g / sqrt(v))`.

    The second moment `v` is a moving average with decay `1 - (t + 1) ** -decay_exponent`, where `t`
    counts from `step_offset`. No momentum, no scaling by the size of the parameter.

    Attributes:
        decay_exponent: Exponent of the second moment's decay schedule.
        step_offset: Steps `t` starts from. The papers' runs restore the counter of the pretrained
            checkpoint (1,100,000), which makes `v` behave like AdaGrad's sum; 0 starts afresh.
        clip_rms: Largest root mean square of an update over the whole prompt, before the learning
            rate.
        weight_decay: Decoupled decay of each step; not multiplied by the learning rate.
        epsilon: Added to squared gradients.
        min_factored_size: The second moment is factored if P and H are at least this.
    """

    decay_exponent: float
    step_offset: int
    clip_rms: float
    weight_decay: float
    epsilon: float
    min_factored_size: int

    def init(self, prompt: Array) -> optax.OptState:
        """Returns the state before the first update of `prompt` `[P, H]`."""
        return self._scaling().init(prompt)  # pyright: ignore[reportArgumentType]

    def update(
        self, gradient: Array, state: optax.OptState, prompt: Array, learning_rate: Array
    ) -> tuple[Array, optax.OptState]:
        """Returns the next `prompt` `[P, H]` and state, given the gradient of the summed loss."""
        scaled: Any
        scaled, state = self._scaling().update(gradient, state, prompt)
        rate = learning_rate.astype(prompt.dtype)
        return prompt - rate * scaled - self.weight_decay * prompt, state

    def _scaling(self) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_factored_rms(
                decay_rate=self.decay_exponent,
                decay_rate_fn=self._decay,
                min_dim_size_to_factor=self.min_factored_size,
                epsilon=self.epsilon,
            ),
            optax.clip_by_block_rms(self.clip_rms),
        )

    def _decay(self, step: Any, exponent: Any) -> Array:
        # In the default float type: float32, unless JAX is set to 64 bits.
        t = jnp.asarray(step + self.step_offset + 1, jnp.result_type(float))
        return 1.0 - t**-exponent
