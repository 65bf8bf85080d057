"""Lanes: groups of rows that share a forward pass, and the compiled step that advances them."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.models.prompted import PromptedT5
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.rows import Row
from prompt_tuning.training.state import (
    RowSettings,
    RowState,
    TrainBatch,
    init_state,
    replace,
    stack,
    unstack,
)
from prompt_tuning.training.step import StepConfig, StepMetrics, train_step
from prompt_tuning.types import Params


class Stepper:
    """Holds the frozen parameters and the compiled step.

    Args:
        model: The prompted model.
        frozen: Its frozen parameters on every layout, by the layout's name.
        config: Settings all rows share.
        shapes: Pairs (T, L) that batches are padded to, each covered by the last.
    """

    def __init__(
        self,
        model: PromptedT5,
        frozen: Mapping[str, Params],
        config: StepConfig,
        shapes: Sequence[tuple[int, int]],
    ):
        self.model = model
        self.config = config
        self.shapes = sorted(shapes)
        self.frozen = frozen
        step = functools.partial(train_step, model=model, config=config)
        self.step = jax.jit(step, donate_argnums=0)

    def shape(self, batches: Sequence[HostBatch]) -> tuple[int, int]:
        """Returns the smallest of the fixed shapes that holds all of `batches`."""
        tokens = max(batch.encoder_tokens.shape[1] for batch in batches)
        targets = max(batch.targets.shape[1] for batch in batches)
        return next((t, n) for t, n in self.shapes if t >= tokens and n >= targets)


class Lane:
    """Advances up to `slots` rows together, on one layout.

    Args:
        stepper: The compiled step.
        layout: Where this lane's arrays live.
        slots: Rows that share a forward pass, C; empty slots cost what full ones do.
        prompt_shape: `(P, H)`.
        batch_size: Examples of each row's update, B; the same for all rows of a lane.
    """

    def __init__(
        self,
        stepper: Stepper,
        layout: Layout,
        slots: int,
        prompt_shape: tuple[int, int],
        batch_size: int,
    ):
        self.layout = layout
        self.batch_size = batch_size
        self.rows: list[Row | None] = [None] * slots
        self._stepper = stepper
        self._settings: tuple[tuple[int, ...], RowSettings] | None = None
        empty = init_state(jnp.zeros(prompt_shape, jnp.float32), stepper.config.optimizer)
        self._state = layout.put(stack([empty] * slots))

    @property
    def free(self) -> int | None:
        """Index of an empty slot, or None."""
        return self.rows.index(None) if None in self.rows else None

    def load(self, slot: int, row: Row, state: RowState) -> None:
        """Puts a row into an empty slot."""
        self.rows[slot] = row
        self._settings = None
        self._state = replace(self._state, slot, self.layout.put(state))

    def unload(self, slot: int) -> None:
        """Empties a slot."""
        self.rows[slot] = None

    def state(self, slot: int) -> RowState:
        """Returns the state of a slot's row, on the host; waits for the device."""
        return jax.tree.map(np.asarray, unstack(self._state, slot))

    def compile(self) -> None:
        """Compiles the step for every shape that batches are padded to."""
        for tokens, targets in self._stepper.shapes:
            empty = HostBatch(
                np.zeros((self.batch_size, tokens), np.int32),
                np.zeros((self.batch_size, targets), np.int32),
            )
            self._advance({0: empty}, self._make_settings(()))

    def step(self, batches: Mapping[int, HostBatch]) -> StepMetrics:
        """Advances the rows in the slots of `batches` by one step, without waiting for it."""
        slots = tuple(batches)
        if self._settings is None or self._settings[0] != slots:
            self._settings = (slots, self._make_settings(slots))
        return self._advance(batches, self._settings[1])

    def _advance(self, batches: Mapping[int, HostBatch], settings: RowSettings) -> StepMetrics:
        length, target_length = self._stepper.shape(list(batches.values()))
        shape = (len(self.rows), self.batch_size)
        tokens = np.zeros((*shape, length), np.int32)
        targets = np.zeros((*shape, target_length), np.int32)
        for slot, host in batches.items():
            tokens[slot, :, : host.encoder_tokens.shape[1]] = host.encoder_tokens
            targets[slot, :, : host.targets.shape[1]] = host.targets
        batch = TrainBatch(*self.layout.put_batch((tokens, targets), axis=1))
        frozen = self._stepper.frozen[self.layout.name]
        self._state, metrics = self._stepper.step(self._state, frozen, batch, settings)
        return metrics

    def _make_settings(self, slots: tuple[int, ...]) -> RowSettings:
        rates = [row.schedule.learning_rate if row else 0.0 for row in self.rows]
        seeds = [row.seed if row else 0 for row in self.rows]
        active = [slot in slots for slot in range(len(self.rows))]
        host = (np.asarray(rates, np.float32), np.asarray(seeds, np.uint32), np.asarray(active))
        return RowSettings(*self.layout.put(host))
