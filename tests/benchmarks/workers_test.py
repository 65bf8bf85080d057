"""Workers wait for their turns, and say how long these took."""

import pytest

from benchmarks.workers import (
    Side,
    Timing,
    Worker,
    alternate,
    cpu_seconds_each,
    ratio,
    seconds_each,
    warmed_up,
)
from prompt_tuning.types import UserError

MODULE = "tests.benchmarks.echo_worker"


def test_workers_take_turns():
    with (
        Worker("slow", MODULE, {"name": "one", "seconds": 0.04}) as slow,
        Worker("fast", MODULE, {"name": "two", "seconds": 0.001}) as fast,
    ):
        assert [slow.facts, fast.facts] == [{"name": "one"}, {"name": "two"}]
        assert slow.start_seconds > 0
        timings = alternate([Side(slow, "sleep", 2), Side(fast, "sleep", 2)], 3)
        assert [len(each) for each in timings] == [3, 3]
        assert all(timing.count == 2 and timing.peak_bytes == 123 for timing in timings[0])
        assert all(0.08 <= timing.seconds < 2 for timing in timings[0])
        assert warmed_up(slow, "sleep", 0.2).count in (4, 5)
        assert all(timing.cpu_seconds < 0.05 for timing in timings[0])
        assert (ratio(timings) or 0) > 1


def test_a_worker_that_fails_is_told_in_a_line():
    with pytest.raises(UserError, match=r"^the worker 'bad' ended with status 1: .* no luck$"):
        Worker("bad", MODULE, {"fail": "no luck"})
    with (
        Worker("late", MODULE, {"name": "late", "seconds": 0}) as worker,
        pytest.raises(UserError, match=r"'late' ended with status 1: .*cannot do it 3 times$"),
    ):
        worker.turn("fail", 3)


def test_a_ratio_is_the_median_over_turns():
    ours = [Timing(2, seconds, cpu, 0) for seconds, cpu in ((2.0, 4.0), (8.0, 6.0), (3.0, 2.0))]
    theirs = [Timing(1, seconds, 1.0, 0) for seconds in (2.0, 2.0, 1.0)]
    assert seconds_each(ours) == 1.5
    assert ratio([ours]) is None
    assert cpu_seconds_each(ours) == 2.0
    assert ratio([ours, theirs]) == 1.5  # of 0.5, 2 and 1.5
