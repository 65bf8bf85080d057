"""This project's worker on real lengths: one activity per way to batch a task's examples."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import ours, turns
from benchmarks.cases import Case
from benchmarks.lengths import Way
from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.data.batches.pipeline import HostBatch


def main() -> None:
    """Serves one activity per way, which trains on all batches of that way."""
    out = turns.own_stdout()
    settings = json.loads(sys.argv[1])
    case = Case(**settings["case"])
    read = json.loads(Path(settings["ways_file"]).read_text(encoding="utf-8"))
    ways = [_way(each) for each in read]
    opened = ours.open_case(case, 1)
    facts = {
        "card": ours.card(),
        "padding": {way.name: _positions(opened, case, way) for way in ways},
    }
    turns.serve(out, {way.name: _activity(case, opened, way) for way in ways}, facts)


def _way(read: dict[str, Any]) -> Way:
    batches = [HostBatch(*(np.asarray(x, np.int32) for x in batch)) for batch in read["batches"]]
    shapes = read["shapes"]
    return Way(read["name"], shapes and [tuple(shape) for shape in shapes], batches)


def _activity(case: Case, opened: ours.Opened, way: Way) -> Callable[[int], None]:
    @functools.cache
    def training(shapes: tuple[tuple[int, int], ...]) -> ours.Training:
        return ours.Training(opened, case, shapes, 1)

    def train(times: int) -> None:
        batches = list(way.batches) * times
        ours.train((training(tuple(way.shapes_for(batch))), [batch]) for batch in batches)

    return train


def _positions(opened: ours.Opened, case: Case, way: Way) -> Positions:
    positions = Positions()
    for batch in way.batches:
        shapes = way.shapes_for(batch)
        positions = positions.plus(ours.count(opened, case, shapes, batch))
    return positions


if __name__ == "__main__":
    main()
