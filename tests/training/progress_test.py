"""Progress on what is no terminal: a line now and then."""

import io

import pytest
from rich.console import Console

from prompt_tuning.training import progress


def test_a_log_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch):
    clock = iter([90.0, 100.0, 110.0, 120.0, 130.0, 140.0])  # the first two steps do not count
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    out = io.StringIO()
    with progress.ProgressDisplay(Console(file=out, width=100), total=300, done=100) as display:
        display.advance(5, "5 rows running")
        display.advance(5, "5 rows running")
        display.advance(10, "5 rows running")
        display.advance(20, "5 rows [running]")
        display.advance(60, "5 rows running")
        display.advance(60, "5 rows running")
    assert out.getvalue().splitlines() == [
        "5 rows [running]: 140 of 300 row-steps, 1.5 a second, about 107 s left",
        "5 rows running: 260 of 300 row-steps, 6.0 a second, about 7 s left",
    ]
