"""Lanes: the rows of one layout, and the compiled step that advances them."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.data.padding import Positions
from prompt_tuning.data.pipeline import HostBatch
from prompt_tuning.models.family import PromptedModel
from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.passes import Cutter, Passes
from prompt_tuning.training.rows import Row
from prompt_tuning.training.state import (
    RowSettings,
    RowState,
    init_state,
    replace,
    stack,
    unstack,
)
from prompt_tuning.training.step import (
    Gradient,
    StepConfig,
    StepMetrics,
    add_passes,
    no_gradient,
    update_rows,
)
from prompt_tuning.types import Params


class Stepper:
    """Holds the frozen parameters and the compiled parts of a step.

    Args:
        model: The prompted model.
        frozen: Its frozen parameters on every layout, by the layout's name.
        config: Settings all rows share.
    """

    def __init__(self, model: PromptedModel, frozen: Mapping[str, Params], config: StepConfig):
        self.config = config
        self.frozen = frozen
        add = functools.partial(add_passes, model=model, config=config)
        self.add = jax.jit(add, donate_argnums=0)
        self.update = jax.jit(functools.partial(update_rows, config=config), donate_argnums=(0, 1))


class Lane:
    """Advances up to `slots` rows together, on one layout.

    Args:
        stepper: The compiled step.
        layout: Where this lane's arrays live.
        cutter: Cuts the batches of its rows into passes.
        slots: Rows it holds, C; empty slots cost next to nothing.
        prompt_shape: `(P, H)`.
    """

    def __init__(
        self,
        stepper: Stepper,
        layout: Layout,
        cutter: Cutter,
        slots: int,
        prompt_shape: tuple[int, int],
    ):
        self.layout = layout
        self.rows: list[Row | None] = [None] * slots
        self._stepper = stepper
        self._cutter = cutter
        self._settings: tuple[tuple[int, ...], RowSettings] | None = None
        empty = _no_rows(slots, prompt_shape, stepper.config.optimizer)
        self._state, self._gradient = layout.put(empty)

    @property
    def free(self) -> list[int]:
        """Indices of the empty slots."""
        return [slot for slot, row in enumerate(self.rows) if row is None]

    def load(self, slot: int, row: Row, state: RowState) -> None:
        """Puts a row into an empty slot."""
        self.rows[slot] = row
        self._settings = None
        self._state = replace(self._state, slot, self.layout.put(state))

    def unload(self, slot: int) -> None:
        """Empties a slot."""
        self.rows[slot] = None

    def prompt(self, slot: int) -> np.ndarray:
        """Returns the prompt of a slot's row `[P, H]`, on the host; waits for the device."""
        return np.asarray(self._state.prompt[slot])

    def state(self, slot: int) -> RowState:
        """Returns the state of a slot's row, on the host; waits for the device."""
        return jax.tree.map(np.asarray, unstack(self._state, slot))

    def compile(self) -> None:
        """Compiles the step for every shape that passes are padded to."""
        settings = self._make_settings(())
        for passes in self._cutter.empty():
            self._add(passes, 0, settings)
        self._update(settings)

    def step(self, batches: Mapping[int, HostBatch]) -> tuple[StepMetrics, dict[int, Positions]]:
        """Advances the rows in the slots of `batches` by one step, without waiting for it.

        Returns:
            The metrics of all slots, and what each row's batch cost in encoder positions.
        """
        slots = tuple(sorted(batches))
        if self._settings is None or self._settings[0] != slots:
            self._settings = (slots, self._make_settings(slots))
        settings = self._settings[1]
        cut = self._cutter.cut(batches)
        for passes, count in cut.passes:
            self._add(passes, count, settings)
        return self._update(settings), cut.positions

    def _add(self, passes: Passes, count: int, settings: RowSettings) -> None:
        passes = Passes(*self.layout.put_batch(passes, axis=1))
        frozen = self._stepper.frozen[self.layout.name]
        self._gradient = self._stepper.add(
            self._gradient, frozen, self._state, settings, passes, np.int32(count)
        )

    def _update(self, settings: RowSettings) -> StepMetrics:
        self._state, self._gradient, metrics = self._stepper.update(
            self._state, self._gradient, settings
        )
        return metrics

    def _make_settings(self, slots: tuple[int, ...]) -> RowSettings:
        rates = [row.schedule.learning_rate if row else 0.0 for row in self.rows]
        seeds = [row.seed if row else 0 for row in self.rows]
        active = [slot in slots for slot in range(len(self.rows))]
        host = (np.asarray(rates, np.float32), np.asarray(seeds, np.uint32), np.asarray(active))
        return RowSettings(*self.layout.put(host))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _no_rows(
    slots: int, prompt_shape: tuple[int, int], optimizer: Adafactor
) -> tuple[RowState, Gradient]:
    """Returns the state of empty slots and their gradient, from one compiled program."""
    state = stack([init_state(jnp.zeros(prompt_shape, jnp.float32), optimizer)] * slots)
    return state, no_gradient(state.prompt)
