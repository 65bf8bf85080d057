"""Logs training to `metrics.jsonl`, TensorBoard and the console."""

import contextlib
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from tensorboardX import SummaryWriter

from prompt_tuning.data.batches.padding import Positions
from prompt_tuning.storage import write_text
from prompt_tuning.training.results import ResultStore
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run import Run
from prompt_tuning.training.running import RunningRow, StepDone
from prompt_tuning.training.step import StepMetrics

_SECONDS_BETWEEN_LINES = 15.0


class RunLog:
    """Logs the progress of rows in training.

    Args:
        metrics: The metrics file and TensorBoard runs.
        display: The progress display.
        log_period: Steps between training entries.
    """

    def __init__(self, metrics: "MetricsFile", display: "ProgressDisplay", log_period: int):
        self._metrics = metrics
        self._display = display
        self._log_period = log_period
        self._positions = Positions()

    def advance(self, steps: int, status: str) -> None:
        """Adds `steps` to the row-steps done; `status` describes what is running."""
        self._display.advance(steps, status)

    def train(self, running: RunningRow, done: StepDone, metrics: StepMetrics) -> None:
        """Logs the metrics (host scalars) of a row's step every `log_period` steps."""
        if done.step % self._log_period == 0:
            values = metrics.entry(running.row.schedule.learning_rate)
            values["padding_share"] = done.positions.padding_share
            self._metrics.write("train", running.row.name, done.step, values)

    def validation(self, running: RunningRow, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of a row's last evaluation."""
        step = int(running.progress.curve[-1][0])
        self._metrics.write("validation", running.row.name, step, metrics)

    def test(self, running: RunningRow, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of a row's best checkpoint."""
        assert running.progress.best_step is not None
        self._metrics.write("test", running.row.name, running.progress.best_step, metrics)
        self._metrics.finish(running.row.name)
        self._positions = self._positions.plus(running.progress.positions)

    def show_stop(self, running: RunningRow) -> None:
        """Prints why a row stopped early, if it did."""
        reason = running.progress.stopped
        if reason:
            self._display.note(f"{running.row.name} stopped: {reason}; its best is kept")

    def show_padding(self) -> None:
        """Prints the share of padding among the encoder positions of ended rows."""
        if self._positions.total:
            self._display.note(
                f"{100 * self._positions.padding_share:.1f} % of the encoder positions of training "
                "were padding (prompts count as positions)"
            )

    def flush(self) -> None:
        """Flushes the metrics file."""
        self._metrics.flush()


@contextlib.contextmanager
def open_log(
    rows: Sequence[Row],
    results: ResultStore,
    resumed: Sequence[RunningRow],
    run: Run,
) -> Iterator[RunLog]:
    """Opens the log of a run, and drops entries of steps that will run again.

    Args:
        rows: The rows of the run.
        results: Results of the finished rows.
        resumed: Rows resumed from a checkpoint; all others start afresh.
        run: The run.
    """
    restored: dict[str, float] = {row.name: -1 for row in rows}
    restored |= dict.fromkeys(results, math.inf)
    # A row checkpointed before its first evaluation is scored again.
    restored |= {
        running.row.name: running.progress.step for running in resumed if running.progress.curve
    }
    done = sum(row.steps for row in rows if row.name in results)
    done += sum(running.progress.step for running in resumed)
    total = sum(row.steps for row in rows)
    if done:
        run.console.print(f"Resuming: {done} of {total} row-steps are done.", highlight=False)
    metrics = MetricsFile(run.directory.metrics, restored)
    with contextlib.closing(metrics), ProgressDisplay(run.console, total, done) as display:
        log = RunLog(metrics, display, run.config.log_period)
        yield log
        log.show_padding()


class MetricsFile:
    """Appends entries to `metrics.jsonl` and to one TensorBoard run per row.

    Args:
        path: The JSON lines file.
        restored: Steps already done, by row name: infinity for a finished row, -1 for one that has
            not started. Entries of later steps are dropped from the file, because those steps will
            run again; entries of other rows are kept.
    """

    def __init__(self, path: Path, restored: Mapping[str, float]):
        self._tensorboard = path.parent / "tensorboard"
        self._writers: dict[str, SummaryWriter] = {}
        self._restored = dict(restored)
        _truncate(path, restored)
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, row: str, step: int, values: Mapping[str, Any]) -> None:
        """Appends an entry; `kind` is `train`, `validation` or `test`."""
        entry = {"kind": kind, "row": row, "step": step, **values}
        self._file.write(json.dumps(entry) + "\n")
        writer = self._writer(row)
        for name, value in values.items():
            if isinstance(value, int | float):
                writer.add_scalar(f"{kind}/{name}", value, step)

    def flush(self) -> None:
        """Flushes the metrics file."""
        self._file.flush()

    def finish(self, row: str) -> None:
        """Closes the TensorBoard run of a row that has ended."""
        if row in self._writers:
            self._writers.pop(row).close()

    def close(self) -> None:
        """Closes all files."""
        for row in list(self._writers):
            self.finish(row)
        self._file.close()

    def _writer(self, row: str) -> SummaryWriter:
        if row not in self._writers:
            done = self._restored.get(row)
            self._writers[row] = SummaryWriter(
                str(self._tensorboard / row),
                purge_step=None if done is None else int(done) + 1,
                write_to_disk=True,
            )
        return self._writers[row]


def _truncate(path: Path, restored: Mapping[str, float]) -> None:
    """Drops entries of steps after the restored ones, and an incomplete last line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        # The test entry comes last: an unfinished row has none yet, whatever its step.
        last = math.inf if entry["kind"] == "test" else entry["step"]
        if last <= restored.get(entry["row"], math.inf):
            kept.append(line + "\n")
    write_text(path, "".join(kept))


class ProgressDisplay:
    """Shows a progress bar over row-steps, or prints a line every 15 seconds without a terminal.

    Args:
        console: Where to print.
        total: Total steps of all rows.
        done: Steps done by an earlier run.
    """

    def __init__(self, console: Console, total: int, done: int):
        self._console = console
        self._total = total
        self._done = done
        # The time left is estimated from the steps since the previous line. The first two calls are
        # left out: they include compilation and the first evaluation.
        self._line = (0.0, done)
        self._warmup = 2
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
        """Adds `steps` to the steps done; `status` describes what is running."""
        self._done += steps
        self._bar.update(self._task, completed=self._done, description=status)
        now = time.monotonic()
        if self._warmup:
            self._warmup -= 1
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
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
