"""Worker processes that take turns on one machine."""

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prompt_tuning.types import UserError

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = Path(sys.executable)
_LAST_LINES = 3  # of a worker's stderr, shown in the error message


@dataclasses.dataclass(frozen=True)
class Timing:
    """The cost of one turn.

    Attributes:
        count: Repetitions of the activity.
        seconds: Wall time.
        cpu_seconds: CPU time of all threads.
        peak_bytes: Peak memory of the worker so far.
    """

    count: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


class Worker:
    """A process that waits for its turns; see `turns.serve`.

    Attributes:
        name: Its name in messages.
        start_seconds: From the start of the process until it was ready.
        facts: What it reported when it was ready.
    """

    def __init__(
        self,
        name: str,
        module: str,
        settings: Mapping[str, Any],
        *,
        python: Path = _PYTHON,
        environment: Mapping[str, str] | None = None,
    ):
        """Starts the process and waits until it is ready.

        Args:
            name: Its name in messages.
            module: The module to run, which ends in `turns.serve`.
            settings: Its only argument, as JSON.
            python: The interpreter.
            environment: Variables to add to those of this process.

        Raises:
            UserError: The process ended before it was ready.
        """
        self.name = name
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # Several workers share a GPU's memory, so none may preallocate it.
        shared = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "2"}
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [str(python), "-m", module, json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **shared, **(environment or {})},
        )
        try:
            self.facts = self._receive()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - began

    def turn(self, activity: str, count: int) -> Timing:
        """Has the worker do an activity `count` times, and waits for it.

        Raises:
            UserError: The worker failed.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, as _receive reports
            self._process.stdin.write(json.dumps({"activity": activity, "count": count}) + "\n")
            self._process.stdin.flush()
        return Timing(count, **self._receive())

    def stop(self) -> None:
        """Ends the process and waits for it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        status = self._process.wait()
        self._log.seek(0)
        said = " / ".join(self._log.read().strip().splitlines()[-_LAST_LINES:])
        raise UserError(f"the worker '{self.name}' ended with status {status}: {said or 'silent'}")


@dataclasses.dataclass(frozen=True)
class Side:
    """A worker's part in the turns.

    Attributes:
        worker: The worker.
        activity: The activity it does.
        count: Repetitions in one turn.
    """

    worker: Worker
    activity: str
    count: int

    def turn(self) -> Timing:
        """Takes one turn, and waits for it."""
        return self.worker.turn(self.activity, self.count)


def alternate(sides: Sequence[Side], turns: int) -> list[list[Timing]]:
    """Has sides take turns, so that a slow minute slows all of them.

    Returns:
        The timings of each side, in the order of its turns.
    """
    timings: list[list[Timing]] = [[] for _ in sides]
    for turn in range(turns):
        # The order alternates, so that no side always comes second.
        order = range(len(sides)) if turn % 2 == 0 else reversed(range(len(sides)))
        for index in order:
            timings[index].append(sides[index].turn())
    return timings


def warmed_up(worker: Worker, activity: str, seconds: float) -> Side:
    """Returns a side whose turns take roughly `seconds`.

    Does the activity once to warm up and compile, and once more to time it.
    """
    worker.turn(activity, 1)
    once = worker.turn(activity, 1).seconds
    return Side(worker, activity, max(1, round(seconds / once)))


def seconds_each(timings: Sequence[Timing]) -> float:
    """Returns the median over turns of the seconds per repetition."""
    return statistics.median(timing.seconds / timing.count for timing in timings)


def cpu_seconds_each(timings: Sequence[Timing]) -> float:
    """Returns the median over turns of the CPU seconds per repetition."""
    return statistics.median(timing.cpu_seconds / timing.count for timing in timings)


def ratio(timings: Sequence[Sequence[Timing]]) -> float | None:
    """Returns the median over turns of the first worker's seconds divided by the second's.

    Args:
        timings: Those of two workers; with one, the ratio is None.
    """
    if len(timings) == 1:
        return None
    first, second = ([timing.seconds / timing.count for timing in turns] for turns in timings)
    return statistics.median(a / b for a, b in zip(first, second, strict=True))
