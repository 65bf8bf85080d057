"""Adafactor as the papers use it (Shazeer and Stern 2018; Lester et al. 2021, section 3)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from prompt_tuning.types import Array


@dataclasses.dataclass(frozen=True)
class Adafactor:
    """Updates arrays: `p <- (1 - weight_decay) p - learning_rate scale(p) clip(g / sqrt(v))`.

    The second moment `v` is a moving average with decay `1 - (t + 1) ** -decay_exponent`, where `t`
    counts from `step_offset`. No momentum. `p` is one soft prompt, or one array of a model.

    Attributes:
        decay_exponent: Exponent of the second moment's decay schedule.
        step_offset: First value of `t`. The papers' runs restore the step counter of the pretrained
            checkpoint (1,100,000), which makes `v` behave like AdaGrad's sum; 0 starts afresh.
        clip_rms: Largest root mean square of an update over a whole array, before the learning
            rate.
        weight_decay: Decoupled weight decay per step; not multiplied by the learning rate.
        epsilon: Added to squared gradients.
        min_factored_size: The second moment of an array is factored over its two largest
            dimensions if both are at least this.
        parameter_scale: Lower bound of the root mean square of an array, by which its updates are
            multiplied (model tuning); None does not scale updates (prompts).
    """

    decay_exponent: float
    step_offset: int
    clip_rms: float
    weight_decay: float
    epsilon: float
    min_factored_size: int
    parameter_scale: float | None

    def init(self, parameters: Any) -> optax.OptState:
        """Returns the initial optimizer state for an array or a tree of arrays."""
        return self._scaling().init(parameters)

    def update(
        self, gradient: Any, state: optax.OptState, parameters: Any, learning_rates: Any
    ) -> tuple[Any, optax.OptState]:
        """Returns the updated parameters and optimizer state.

        Args:
            gradient: Gradient of the summed loss with respect to `parameters`.
            state: The current optimizer state.
            parameters: An array, or a tree of them.
            learning_rates: The learning rate of each array, in a tree like `parameters`.
        """
        scaled, state = self._scaling().update(gradient, state, parameters)

        def apply(parameter: Array, update: Any, rate: Array) -> Array:
            rate = rate.astype(parameter.dtype)
            return parameter - rate * update - self.weight_decay * parameter

        return jax.tree.map(apply, parameters, scaled, learning_rates), state

    def _scaling(self) -> optax.GradientTransformation:
        scale = self.parameter_scale
        by_parameter = [] if scale is None else [optax.scale_by_param_block_rms(scale)]
        return optax.chain(
            optax.scale_by_factored_rms(
                decay_rate=self.decay_exponent,
                decay_rate_fn=self._decay,
                min_dim_size_to_factor=self.min_factored_size,
                epsilon=self.epsilon,
            ),
            optax.clip_by_block_rms(self.clip_rms),
            *by_parameter,
        )

    def _decay(self, step: Any, exponent: Any) -> Array:
        # In the default float type: float32, unless JAX is set to 64 bits.
        t = jnp.asarray(step + self.step_offset + 1, jnp.result_type(float))
        return 1.0 - t**-exponent
