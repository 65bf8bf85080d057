"""What a command trains: the protocol of plans, and the plan of `train`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from prompt_tuning.prompts.initializers import FromRow, Initializer
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Row, row_name
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.schedule import Schedule, SourceStage

Results = TypeVar("Results", covariant=True)


class Tune(Protocol):
    """Trains rows to their ends, in a phase of a plan."""

    def __call__(
        self, rows: Sequence[Row], mixtures: Mapping[str, tuple[str, ...]] | None = None, /
    ) -> list[RowResult]:
        """Returns one result per row; rows of earlier phases are not trained again.

        Args:
            rows: The rows.
            mixtures: Names of further mixtures that rows train on, each with its tasks.
        """
        ...


class Plan(Protocol[Results]):
    """What a command trains, phase by phase."""

    @property
    def tasks(self) -> Sequence[str]:
        """Names of all its tasks and mixtures."""
        ...

    @property
    def save_steps(self) -> tuple[int, ...]:
        """Steps after which what each row trains is also kept."""
        ...

    @property
    def outline(self) -> list[Row]:
        """Rows as many and as long as will train, before anything is known of a phase's results."""
        ...

    @property
    def most_rows(self) -> int:
        """Rows that train at the same time, at most, in the first phase."""
        ...

    def described(self) -> list[str]:
        """Says in lines what will be trained; none where the table of needs says it all."""
        ...

    def run(self, tune: Tune, directory: RunDirectory) -> Results:
        """Trains all phases and returns their results.

        Args:
            tune: Trains the rows of a phase.
            directory: Where the run's files are.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """Rows of one or many tasks and seeds, after one of a source if asked.

    Attributes:
        targets: Tasks or mixtures.
        seeds: Their seeds; the source has the first.
        start: How rows begin that start from no other.
        schedule: How long and how fast the tasks train.
        source: What to train on first, so that all tasks start from the best of it; or None.
        save_steps: Steps after which what each row trains is also kept.
        tunes_model: Whether models are tuned.
    """

    targets: Sequence[str]
    seeds: Sequence[int]
    start: Initializer
    schedule: Schedule
    source: SourceStage | None
    save_steps: tuple[int, ...]
    tunes_model: bool

    @property
    def tasks(self) -> Sequence[str]:
        """See `Plan`."""
        return [row.task for row in self.outline]

    @property
    def most_rows(self) -> int:
        """See `Plan`."""
        return len(self.outline)

    @property
    def outline(self) -> list[Row]:
        """All rows: one for each task and seed, after one of the source."""
        first, start, init = self._source_rows(), self.start, self.start.describe()["init"]
        method = "model_tuning" if self.tunes_model else "prompt_tuning"
        if first:
            method = "multi_task_model_tuning" if self.tunes_model else "spot"
            start, init = FromRow(first[0].name), "transfer"
        return first + [
            Row(
                name=row_name(task, init, f"seed{seed}"),
                task=task,
                start=start,
                seed=seed,
                schedule=self.schedule,
                method=method,
                source=self.source.task if self.source else None,
            )
            for task in self.targets
            for seed in self.seeds
        ]

    def described(self) -> list[str]:
        """See `Plan`."""
        return []

    def run(self, tune: Tune, directory: RunDirectory) -> list[RowResult]:
        """See `Plan`."""
        del directory
        return tune(self.outline)

    def _source_rows(self) -> list[Row]:
        if self.source is None or not self.seeds:
            return []
        return [
            Row(
                name=row_name(self.source.task, "source", f"seed{self.seeds[0]}"),
                task=self.source.task,
                start=self.start,
                seed=self.seeds[0],
                schedule=self.source.schedule,
                method="model_tuning" if self.tunes_model else "prompt_tuning",
                source=None,
            )
        ]
