"""The protocol for saving trained prompts or models, and the choice between the two."""

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
    """Saves the prompts or models that rows train, and starts rows from saved ones.

    Attributes:
        results: The results of finished rows.
    """

    results: ResultStore

    def check_starts(self) -> None:
        """Checks that every row can start, before anything is written.

        Raises:
            UserError: A row cannot start from its `start`.
        """
        ...

    def start(self, row: Row, layout: Layout) -> tuple[Trainable, Given]:
        """Returns a row's initial trainable and its constants."""
        ...

    def given(self, row: Row) -> Given:
        """Returns the constants of a row."""
        ...

    def shapes(self, row: Row, given: Given) -> Trainable:
        """Returns the shapes of a row's trainable."""
        ...

    def copy(self, trainable: Trainable) -> Trainable | None:
        """Returns a copy on the host, or None where the best is only on disk (models)."""
        ...

    def save_best(self, running: RunningRow, trainable: Trainable) -> None:
        """Saves a row's trainable as its best so far; its last evaluation scored it."""
        ...

    def save_step(self, running: RunningRow, trainable: Trainable) -> None:
        """Saves a row's trainable as `step_<n>`, n being the step of its last evaluation."""
        ...

    def best(self, running: RunningRow, layout: Layout) -> Trainable:
        """Returns a row's trainable from the step that was best on validation."""
        ...

    def finish(
        self, running: RunningRow, last: Trainable | None, metrics: dict[str, float]
    ) -> None:
        """Writes a row's result, which marks the row as finished.

        Args:
            running: The row.
            last: Its trainable after the last step, as returned by `copy`.
            metrics: Metrics of its best on the scored split, and their mean as `score`.
        """
        ...

    def prune(self, running: RunningRow) -> None:
        """Removes files of a row that no checkpoint needs, after it was checkpointed."""
        ...

    def clean(self) -> None:
        """Removes half-written files of a killed run, and leftovers of finished rows."""
        ...


def open_kept(rows: Sequence[Row], run: Run) -> Kept:
    """Returns the `Kept` of a run: models in model tuning, else prompts.

    Args:
        rows: The rows of the run.
        run: The run.

    Raises:
        UserError: As `ResultStore`; or the directory holds the other kind, of another run.
    """
    if run.config.parameterization.tunes_model:
        return KeptModels(rows, run)
    return KeptPrompts(rows, run)
