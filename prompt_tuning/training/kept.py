"""What rows leave on disk: the protocol, and which of prompt files or models a run keeps."""

from collections.abc import Sequence
from typing import Protocol

from prompt_tuning.parameterizations.parameterization import Given, Trainable
from prompt_tuning.training.kept_models import KeptModels
from prompt_tuning.training.kept_prompts import KeptPrompts
from prompt_tuning.training.partitioning import Layout
from prompt_tuning.training.results import ResultStore
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run import Run
from prompt_tuning.training.running import RunningRow


class Kept(Protocol):
    """Keeps what rows train, and starts rows from what was kept.

    Attributes:
        results: The results of finished rows.
    """

    results: ResultStore

    def check_starts(self) -> None:
        """Checks how rows start, before anything is written.

        Raises:
            UserError: A row cannot start as it says.
        """
        ...

    def start(self, row: Row, layout: Layout) -> tuple[Trainable, Given]:
        """Returns what a row trains before its first step, and its constants."""
        ...

    def given(self, row: Row) -> Given:
        """Returns the constants of a row."""
        ...

    def shapes(self, row: Row, given: Given) -> Trainable:
        """Returns the shapes of what a row trains."""
        ...

    def copy(self, trainable: Trainable) -> Trainable | None:
        """Returns a copy on the host, or None where the best is kept on disk alone."""
        ...

    def save_best(self, running: RunningRow, trainable: Trainable) -> None:
        """Keeps what a row trains, as it was when its last evaluation was the best so far."""
        ...

    def save_step(self, running: RunningRow, trainable: Trainable) -> None:
        """Keeps what a row trains, as it was at its last evaluation, as `step_<n>`."""
        ...

    def best(self, running: RunningRow, layout: Layout) -> Trainable:
        """Returns what a row trained when it was best on validation."""
        ...

    def finish(
        self, running: RunningRow, last: Trainable | None, metrics: dict[str, float]
    ) -> None:
        """Writes a row's result; the row is finished from here on.

        Args:
            running: The row.
            last: What it trains after its last step, as `copy` gives it.
            metrics: Metrics of the best on the scored split, and their mean as `score`.
        """
        ...

    def checkpointed(self, running: RunningRow) -> None:
        """Removes what no checkpoint needs, after a row was written to one."""
        ...

    def clean(self) -> None:
        """Removes what a killed run left half written, and the candidates of finished rows."""
        ...


def open_kept(rows: Sequence[Row], run: Run) -> Kept:
    """Returns what keeps what rows train.

    Args:
        rows: The rows of the run.
        run: What they share.

    Raises:
        UserError: As `ResultStore`; or the directory is of a run that left the other kind.
    """
    if run.config.parameterization.tunes_model:
        return KeptModels(rows, run)
    return KeptPrompts(rows, run)
