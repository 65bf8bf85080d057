"""A worker's side of taking turns: do what a line of stdin asks, and say how long it took.

The peer's worker runs in an environment of its own, so this module needs Python alone.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

Activity = Callable[[int], None]
"""Does something so many times, and returns when all of it is finished."""


def own_stdout() -> TextIO:
    """Keeps stdout for the messages of this module; what libraries print goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def host_peak() -> int:
    """Returns the most memory this process has held, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def serve(
    out: TextIO,
    activities: Mapping[str, Activity],
    facts: Mapping[str, Any],
    peak: Callable[[], int] = host_peak,
) -> None:
    """Reports `facts`, then does one activity after another until stdin ends.

    A line of stdin is `{"activity": NAME, "count": K}`. The answer, a line too, has `seconds` of
    wall time, `cpu_seconds` of all threads, and `peak_bytes`, the most memory held so far.

    Args:
        out: Where answers go, from `own_stdout`.
        activities: What can be asked for.
        facts: What is said first, when the worker is ready.
        peak: Reads the most memory held so far, in bytes.
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
