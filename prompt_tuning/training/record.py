"""What is told of a run while it trains: in `metrics.jsonl`, and to the person at the shell."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence

from prompt_tuning.data.padding import Positions
from prompt_tuning.training.finished import FinishedRows
from prompt_tuning.training.journal import Journal
from prompt_tuning.training.progress import ProgressDisplay
from prompt_tuning.training.rows import Row
from prompt_tuning.training.running import Done, Running
from prompt_tuning.training.step import StepMetrics
from prompt_tuning.training.work import Work


class Record:
    """Records what happens to rows in training.

    Args:
        journal: Where it is written.
        display: Where it is shown.
        log_period: Steps between entries of steps.
    """

    def __init__(self, journal: Journal, display: ProgressDisplay, log_period: int):
        self._journal = journal
        self._display = display
        self._log_period = log_period
        self._positions = Positions()

    def advance(self, steps: int, status: str) -> None:
        """Counts row-steps as done; `status` says what is running now."""
        self._display.advance(steps, status)

    def train(self, run: Running, done: Done, metrics: StepMetrics) -> None:
        """Records the metrics of a row's step, scalars on the host, where that is due."""
        if done.step % self._log_period == 0:
            values = metrics.entry(run.row.schedule.learning_rate)
            values["padding_share"] = done.positions.padding_share
            self._journal.write("train", run.row.name, done.step, values)

    def validation(self, run: Running, metrics: Mapping[str, float]) -> None:
        """Records the metrics on validation that a row was last scored with."""
        step = int(run.progress.curve[-1][0])
        self._journal.write("validation", run.row.name, step, metrics)

    def test(self, run: Running, metrics: Mapping[str, float]) -> None:
        """Records a row's last metrics, of its best checkpoint."""
        assert run.progress.best_step is not None
        self._journal.write("test", run.row.name, run.progress.best_step, metrics)
        self._journal.finish(run.row.name)
        self._positions = self._positions.plus(run.progress.positions)

    def stopped(self, run: Running, kept: str) -> None:
        """Shows why a row stopped early, if it did; `kept` is of what its best one is kept."""
        reason = run.progress.stopped
        if reason:
            self._display.note(f"{run.row.name} stopped: {reason}; its best {kept} is kept")

    def padding(self) -> None:
        """Shows how much of what the encoder read for the rows that ended was padding."""
        if self._positions.total:
            self._display.note(
                f"{100 * self._positions.padding_share:.1f} % of the encoder positions of training "
                "were padding (prompts count as positions)"
            )

    def flush(self) -> None:
        """Makes everything written so far readable by others."""
        self._journal.flush()


@contextlib.contextmanager
def recording(
    rows: Sequence[Row],
    finished: FinishedRows,
    resumed: Sequence[Running],
    *,
    work: Work,
    log_period: int,
) -> Iterator[Record]:
    """Opens the record of a run, which goes on where its rows do.

    Args:
        rows: The rows of the run.
        finished: Those of them that are finished.
        resumed: Those that go on from a checkpoint; all others start.
        work: What they are trained with.
        log_period: Steps between entries of steps.
    """
    restored: dict[str, float] = {row.name: -1 for row in rows}
    restored |= dict.fromkeys(finished, math.inf)
    # One that was saved before its first step is scored again.
    restored |= {run.row.name: run.progress.step for run in resumed if run.progress.curve}
    done = sum(row.steps for row in rows if row.name in finished)
    done += sum(run.progress.step for run in resumed)
    total = sum(row.steps for row in rows)
    if done:
        work.console.print(f"Resuming: {done} of {total} row-steps are done.", highlight=False)
    journal = Journal(work.directory.metrics, restored)
    with contextlib.closing(journal), ProgressDisplay(work.console, total, done) as display:
        record = Record(journal, display, log_period)
        yield record
        record.padding()
