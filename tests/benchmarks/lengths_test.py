"""What stands for an epoch, and the speed over tasks."""

import numpy as np
import pytest

from benchmarks.lengths import Way, all_tasks, representative
from prompt_tuning.data.batches.pipeline import HostBatch


def batch(inputs: int, targets: int = 2) -> HostBatch:
    tokens = [np.ones((2, length), np.int32) for length in (inputs, targets)]
    return HostBatch(*tokens, part=np.zeros(2, np.int32))


def test_the_middle_batch_of_each_part_stands_for_it():
    batches = [batch(inputs) for inputs in (9, 1, 5, 7, 3, 2, 8, 4, 6)]
    widths = [each.encoder_tokens.shape[1] for each in representative(batches, 3)]
    assert widths == [2, 5, 8]
    assert len(representative(batches, 20)) == 9


def test_a_way_pads_to_its_shapes_or_to_the_batch():
    assert Way("to 8", [(8, 2)], []).shapes_for(batch(5)) == [(8, 2)]
    assert Way("to the longest", None, []).shapes_for(batch(5, 3)) == [(5, 3)]


def test_speed_over_tasks_counts_as_many_examples_of_each():
    lines = [
        {"padded": way, "examples/s": speed}
        for speeds in ((10.0, 30.0), (30.0, 60.0))
        for way, speed in zip(("to 512", "ours"), speeds, strict=True)
    ]
    full, own = all_tasks(lines)
    assert full["examples/s"] == pytest.approx(15.0)  # 2 / (1/10 + 1/30)
    assert own["examples/s"] == pytest.approx(40.0)
    assert full["ours / this"] == pytest.approx(40 / 15)
