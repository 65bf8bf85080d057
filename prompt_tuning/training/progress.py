"""What a person at the shell sees while rows train."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_SECONDS_BETWEEN_LINES = 15.0


class ProgressDisplay:
    """Shows a progress bar over row-steps; on what is no terminal, a line every 15 seconds.

    Args:
        console: Where to show it.
        total: Steps of all rows together.
        done: Those done by an earlier run.
    """

    def __init__(self, console: Console, total: int, done: int):
        self._console = console
        self._total = total
        self._done = done
        # What is left is reckoned by the steps since the line before. The first two are left out:
        # one compiles, and the first prompts are scored before the other.
        self._line = (0.0, done)
        self._first = 2
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("row-steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=total, completed=done)

    def __enter__(self) -> "ProgressDisplay":
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def advance(self, steps: int, status: str) -> None:
        """Counts steps as done; `status` says what is running now."""
        self._done += steps
        self._bar.update(self._task, completed=self._done, description=status)
        now = time.monotonic()
        if self._first:
            self._first -= 1
            self._line = (now, self._done)
        since, before = self._line
        if not self._console.is_terminal and now - since > _SECONDS_BETWEEN_LINES:
            self._line = (now, self._done)
            rate = (self._done - before) / (now - since)
            left = (self._total - self._done) / max(rate, 1e-9)
            self.note(
                f"{status}: {self._done} of {self._total} row-steps, {rate:.1f} a second, "
                f"about {left:.0f} s left"
            )

    def note(self, text: str) -> None:
        """Prints a line above the bar."""
        self._console.print(text, highlight=False, markup=False)
