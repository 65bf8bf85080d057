"""The lanes of a run, and which of their slots are free."""

import collections
from collections.abc import Sequence

from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.running import Place


class Pool:
    """Makes lanes where rows need them, spread over the layouts, and drops empty ones.

    Args:
        stepper: The compiled step.
        layouts: Where forward passes can run.
        slots: Rows that share a forward pass.
        prompt_shape: `(P, H)`.
    """

    def __init__(
        self,
        stepper: Stepper,
        layouts: Sequence[Layout],
        slots: int,
        prompt_shape: tuple[int, int],
    ):
        self.lanes: list[Lane] = []
        self._stepper = stepper
        self._layouts = layouts
        self._slots = slots
        self._prompt_shape = prompt_shape

    def make(self, layout: Layout, batch_size: int) -> Lane:
        """Returns a lane that is not among the pool's."""
        return Lane(self._stepper, layout, self._slots, self._prompt_shape, batch_size)

    def add(self, layout_name: str | None, batch_size: int) -> Lane:
        """Adds a lane on the layout of that name, or else on the one with the fewest lanes."""
        load = collections.Counter(lane.layout.name for lane in self.lanes)
        layout = min(self._layouts, key=lambda one: (one.name != layout_name, load[one.name]))
        self.lanes.append(self.make(layout, batch_size))
        return self.lanes[-1]

    def free(self, batch_size: int) -> Place:
        """Returns an empty slot of a lane with rows of this batch size, if need be of a new one."""
        for lane in self.lanes:
            if lane.batch_size == batch_size and lane.free is not None:
                return Place(lane, lane.free)
        return Place(self.add(None, batch_size), 0)

    def drop_empty(self) -> None:
        """Drops lanes without rows."""
        self.lanes = [lane for lane in self.lanes if any(lane.rows)]
