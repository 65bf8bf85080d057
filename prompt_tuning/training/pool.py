"""The slots of a run: a fixed number of them, on every layout."""

from collections.abc import Sequence

from prompt_tuning.data.shapes import Shape
from prompt_tuning.models.weights import Outline
from prompt_tuning.training import partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.lanes import Lane, Stepper
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.passes import Cutter
from prompt_tuning.training.plan import pass_sizes
from prompt_tuning.training.rows import Row
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


def make_pool(
    stepper: Stepper,
    layouts: Sequence[Layout],
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig,
    shapes: Sequence[Shape],
) -> Pool:
    """Returns the empty slots of a run, spread over the layouts.

    Args:
        stepper: The compiled step.
        layouts: Where passes run.
        rows: All rows of the run.
        backbone: The frozen model.
        config: Settings that all rows share.
        shapes: Pairs (T, L) that passes are padded to; the last is the largest.
    """
    slots = -(-min(len(rows), config.slots) // len(layouts))
    prompt_shape = (config.prompt_length, backbone.config.emb_dim)
    return Pool(
        [
            Lane(
                stepper,
                layout,
                make_cutter(rows, backbone, config, shapes, layout, slots),
                slots,
                prompt_shape,
            )
            for layout in layouts
        ]
    )


def make_cutter(
    rows: Sequence[Row],
    backbone: Outline,
    config: TuneConfig,
    shapes: Sequence[Shape],
    layout: Layout,
    slots: int,
) -> Cutter:
    """Returns what cuts the batches of `slots` of the rows, on one layout; see `make_pool`."""
    return Cutter(
        pass_sizes(rows, backbone, config, shapes, layout),
        slots=slots,
        batch_size=max(row.schedule.batch_size for row in rows),
        prompt_length=config.prompt_length,
        mixed=partitioning.mixes_rows(),
    )
