"""The slots of a run: a fixed number of them, on every layout."""

from collections.abc import Sequence

from prompt_tuning.training.lanes import Lane
from prompt_tuning.training.running import Place


class Pool:
    """Finds places for rows.

    Args:
        lanes: One for each layout.
    """

    def __init__(self, lanes: Sequence[Lane]):
        self.lanes = list(lanes)

    @property
    def slots(self) -> int:
        """Rows that can train at the same time."""
        return sum(len(lane.rows) for lane in self.lanes)

    def free(self) -> Place | None:
        """Returns an empty slot of the lane with the most of them; None where all are full."""
        lane = max(self.lanes, key=lambda lane: len(lane.free))
        return Place(lane, lane.free[0]) if lane.free else None

    def find(self, layout_name: str, slot: int) -> Place | None:
        """Returns that slot of that layout where it is empty, else any that is."""
        for lane in self.lanes:
            if lane.layout.name == layout_name and slot in lane.free:
                return Place(lane, slot)
        return self.free()
