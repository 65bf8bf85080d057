"""The worker's side of taking turns: does what a line of stdin asks, and reports the time.

It imports only the standard library, because the peer's worker has its own environment.
"""

import io
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Activity = Callable[[int], None]
"""Does something a number of times, and returns when all of it is finished."""


def own_stdout() -> TextIO:
    """Reserves stdout for the messages of this module; output of libraries goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # keeps its place among the lines of stderr
    return out


def host_peak() -> int:
    """Returns the peak memory of this process in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def serve(
    out: TextIO,
    activities: Mapping[str, Activity],
    facts: Mapping[str, Any],
    peak: Callable[[], int] = host_peak,
) -> None:
    """Reports `facts`, then does one activity after another until stdin ends.

    A line of stdin is `{"activity": NAME, "count": K}`. The reply is one line with `seconds` of
    wall time, `cpu_seconds` over all threads, and `peak_bytes`, the peak memory so far.

    Args:
        out: Where answers go, from `own_stdout`.
        activities: The activities by name.
        facts: Sent first, when the worker is ready.
        peak: Returns the peak memory so far, in bytes.
    """
    _send(out, facts)
    for line in sys.stdin:
        request = json.loads(line)
        activity = activities[request["activity"]]
        cpu, wall = time.process_time(), time.perf_counter()
        activity(request["count"])
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        _send(out, {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak()})


def _send(out: TextIO, message: Mapping[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()
