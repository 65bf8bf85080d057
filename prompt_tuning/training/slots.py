"""Slots: a fixed number of places on the devices for rows in training."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.data.batches.pipeline import HostBatch
from prompt_tuning.data.batches.shapes import Shape
from prompt_tuning.models.weights import Outline
from prompt_tuning.parameterizations.parameterization import (
    Given,
    Parameterization,
    Trainable,
)
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.microbatches import Microbatcher, Microbatches
from prompt_tuning.training.needs import microbatch_sizes
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.rows import Row
from prompt_tuning.training.step import (
    RowSettings,
    RowState,
    Step,
    StepMetrics,
    StepSums,
    make_step,
)
from prompt_tuning.types import Params


class DeviceSlots:
    """Holds and steps up to C rows together on one layout.

    Args:
        step: The compiled step.
        frozen: The frozen parameters on this layout; empty in model tuning.
        layout: The layout.
        microbatcher: Splits the batches of the rows.
        count: Number of slots, C; empty ones cost next to nothing.
        parameterization: Defines what the rows train.
    """

    def __init__(
        self,
        step: Step,
        frozen: Params,
        layout: Layout,
        microbatcher: Microbatcher,
        count: int,
        parameterization: Parameterization,
    ):
        self.layout = layout
        self.rows: list[Row | None] = [None] * count
        self._step = step
        self._frozen = frozen
        self._microbatcher = microbatcher
        self._tunes_model = parameterization.tunes_model
        self._state: RowState | None = None
        self._given: Given = ()
        self._sums: StepSums | None = None
        self._settings: tuple[tuple[int, ...], RowSettings] | None = None

    @property
    def free(self) -> list[int]:
        """Numbers of the empty slots."""
        return [slot for slot, row in enumerate(self.rows) if row is None]

    def start(self, trainable: Trainable) -> RowState:
        """Returns the initial state of a row."""
        return self._step.init(trainable)

    def load(self, slot: int, row: Row, state: RowState, given: Given) -> None:
        """Puts a row into an empty slot."""
        self.rows[slot] = row
        self._settings = None
        if self._tunes_model:
            self._state = jax.device_put(state, self.layout.shardings(state, shard=True))
        else:
            if self._state is None:
                self._state, self._given = self._zeros(state, given)
            self._state = _replace(self._state, slot, self.layout.put(state))
            self._given = _replace(self._given, slot, self.layout.put(given))
        if self._sums is None:
            assert self._state is not None
            self._sums = self._zero_sums(self._state, self._given)

    def unload(self, slot: int) -> None:
        """Empties a slot."""
        self.rows[slot] = None
        if self._tunes_model:
            self._state = None  # Frees memory for the next model.

    def state(self, slot: int) -> RowState:
        """Returns the state of the row in a slot, on the devices."""
        assert self._state is not None
        return self._state if self._tunes_model else _pick(self._state, slot)

    def trainable(self, slot: int) -> Trainable:
        """Returns the trainable of the row in a slot, on the devices."""
        assert self._state is not None
        return self._state.trainable if self._tunes_model else _pick(self._state.trainable, slot)

    def compile(self, trainable: Trainable, given: Given) -> None:
        """Compiles the step for every shape of microbatch.

        Args:
            trainable: A row's trainable, or arrays of the same shapes.
            given: A row's constants, or arrays of the same shapes.
        """
        state, given = self._zeros(self.start(trainable), given)
        settings = self._make_settings(given, ())
        sums = self._zero_sums(state, given)
        for microbatches in self._microbatcher.empty():
            arguments = self._put(microbatches), np.int32(0), np.bool_(True)
            sums = self._step.add(sums, self._frozen, state, settings, *arguments)
        self._step.update(state, sums, settings)

    def step(self, batches: Mapping[int, HostBatch]) -> tuple[StepMetrics, dict[int, Positions]]:
        """Starts one step of the rows in the slots of `batches`, without blocking.

        Args:
            batches: Each row's batch, by its slot.

        Returns:
            The metrics of all slots, and the encoder positions of each batch, by slot.
        """
        slots = tuple(sorted(batches))
        if self._settings is None or self._settings[0] != slots:
            self._settings = (slots, self._make_settings(self._given, slots))
        settings = self._settings[1]
        split = self._microbatcher.split(batches)
        assert self._state is not None and self._sums is not None
        for i, (microbatches, count) in enumerate(split.microbatches):
            arguments = self._put(microbatches), np.int32(count), np.bool_(i == 0)
            self._sums = self._step.add(self._sums, self._frozen, self._state, settings, *arguments)
        self._state, metrics = self._step.update(self._state, self._sums, settings)
        return metrics, split.positions

    def _put(self, microbatches: Microbatches) -> Microbatches:
        return Microbatches(*self.layout.put_batch(microbatches, axis=1))

    def _zeros(self, state: RowState, given: Given) -> tuple[RowState, Given]:
        """Returns zeros for the state and constants of C rows, shaped like those of one row."""

        def zeros(leaf: Any) -> np.ndarray:
            return np.zeros((len(self.rows), *np.shape(leaf)), leaf.dtype)

        return self.layout.put(jax.tree.map(zeros, (state, given)))

    def _zero_sums(self, state: RowState, given: Given) -> StepSums:
        sums = self._step.zero_sums(state, given)
        # With the sharding that steps return, or the step would compile twice.
        return jax.device_put(sums, self.layout.shardings(sums, shard=self._tunes_model))

    def _make_settings(self, given: Given, slots: tuple[int, ...]) -> RowSettings:
        rates = [row.schedule.learning_rate if row else 0.0 for row in self.rows]
        seeds = [row.seed if row else 0 for row in self.rows]
        active = [slot in slots for slot in range(len(self.rows))]
        host = (np.asarray(rates, np.float32), np.asarray(seeds, np.uint32), np.asarray(active))
        return RowSettings(given, *self.layout.put(host))


class Slot(NamedTuple):
    """One slot of one layout."""

    device: DeviceSlots
    number: int


class Slots:
    """The slots of a run, over all layouts.

    Args:
        devices: The slots of each layout.
    """

    def __init__(self, devices: Sequence[DeviceSlots]):
        self.devices = list(devices)

    def __len__(self) -> int:
        return sum(len(device.rows) for device in self.devices)

    def free(self) -> Slot | None:
        """Returns a slot of the layout with the most empty ones; None if none is empty."""
        device = max(self.devices, key=lambda device: len(device.free))
        return Slot(device, device.free[0]) if device.free else None

    def find(self, layout_name: str, number: int) -> Slot | None:
        """Returns a slot by layout and number if it is empty, else any empty slot, else None."""
        for device in self.devices:
            if device.layout.name == layout_name and number in device.free:
                return Slot(device, number)
        return self.free()


def make_slots(
    rows: Sequence[Row],
    model: OpenModel,
    config: TuneConfig,
    shapes: Sequence[Shape],
    layouts: Sequence[Layout],
) -> Slots:
    """Returns the empty slots of a run, distributed over layouts.

    Args:
        rows: All rows of the run.
        model: The pretrained model.
        config: Settings that all rows share.
        shapes: Pairs (T, L) that microbatches are padded to; the last is the largest.
        layouts: The layouts that rows train on.
    """
    count = -(-min(len(rows), config.slots_in_use) // len(layouts))
    prompted = model.prompted(config.placement_name, remat=config.remat)
    frozen = model.frozen_for(config.parameterization)
    devices = []
    for layout in layouts:
        step = make_step(
            prompted,
            config.parameterization,
            config.step,
            layout if layout.mesh.size > 1 else None,
        )
        outline = model.backbone.outline
        microbatcher = make_microbatcher(rows, outline, config, shapes, layout, count)
        devices.append(
            DeviceSlots(
                step, frozen[layout.name], layout, microbatcher, count, config.parameterization
            )
        )
    return Slots(devices)


def make_microbatcher(
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig,
    shapes: Sequence[Shape],
    layout: Layout,
    count: int,
) -> Microbatcher:
    """Returns the microbatcher of one layout with `count` slots; see `make_slots`."""
    return Microbatcher(
        microbatch_sizes(rows, backbone, config, shapes, layout),
        slots=count,
        batch_size=max(row.schedule.batch_size for row in rows),
        prompt_length=config.prompt_length,
        mixed=partitioning.mixes_rows(),
    )


def stack_rows(trees: Sequence[Any]) -> Any:
    """Stacks the trees of rows on a new leading axis, on the host."""
    if len(trees) == 1:  # Avoids copying, say, a model.
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], trees[0])
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


@jax.jit
def _replace(stacked: Any, index: Any, row: Any) -> Any:
    """Returns stacked rows with row `index` replaced."""
    return jax.tree.map(lambda leaf, new: leaf.at[index].set(new), stacked, row)


@jax.jit
def _pick(stacked: Any, index: Any) -> Any:
    """Returns row `index` of stacked rows."""
    return jax.tree.map(lambda leaf: jnp.take(leaf, index, axis=0), stacked)
