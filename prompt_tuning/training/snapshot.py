"""What a checkpoint holds: the state of every row in training, and which slot it is in."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.training.adafactor import Adafactor
from prompt_tuning.training.checkpoints import Checkpoints, flatten, unflatten
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.running import RunningPrompt
from prompt_tuning.training.state import RowState, init_state


class SavedRow(NamedTuple):
    """A row as a checkpoint holds it: what it is, the layout and slot it was in, and its state."""

    name: str
    digest: str
    layout: str
    slot: int
    progress: Progress
    state: RowState
    best: np.ndarray


class Snapshot(NamedTuple):
    """A checkpoint's content: its number, and the rows in training."""

    tick: int
    rows: list[SavedRow]


def save(
    checkpoints: Checkpoints,
    tick: int,
    running: Sequence[RunningPrompt],
    digest: Callable[[Row], str],
) -> None:
    """Writes checkpoint `tick`; where no row is running, one that says so."""
    # Orbax writes no empty tree.
    arrays = {"best": np.zeros((1, 1, 1), np.float32)}
    if running:
        states = [run.state for run in running]
        arrays = flatten(jax.tree.map(lambda *leaves: np.stack(leaves), *states))
        arrays["best"] = np.stack([run.best for run in running])
    rows = [
        {
            "name": run.row.name,
            "digest": digest(run.row),
            "layout": run.place.lane.layout.name,
            "slot": run.place.slot,
            "progress": dataclasses.asdict(
                dataclasses.replace(run.progress, data=run.batches.state())
            ),
        }
        for run in running
    ]
    checkpoints.save(tick, arrays, {"rows": rows})


def load(checkpoints: Checkpoints, optimizer: Adafactor) -> Snapshot | None:
    """Returns the newest sound checkpoint's content, or None."""
    latest = checkpoints.latest()
    if latest is None:
        return None
    tick, arrays, saved = latest
    like = jax.eval_shape(
        functools.partial(init_state, optimizer=optimizer),
        jax.ShapeDtypeStruct(arrays["best"].shape[1:], jnp.float32),
    )
    rows = []
    for i, entry in enumerate(saved["rows"]):
        of_row = {name: array[i] for name, array in arrays.items()}
        entry = entry | {"progress": Progress(**entry["progress"])}
        rows.append(SavedRow(**entry, state=unflatten(like, of_row), best=of_row["best"]))
    return Snapshot(tick, rows)
