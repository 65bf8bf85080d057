"""Plans: what a command trains. The protocol, and the plan of `train`."""

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
    """Trains the rows of one phase of a plan."""

    def __call__(
        self, rows: Sequence[Row], mixtures: Mapping[str, tuple[str, ...]] | None = None, /
    ) -> list[RowResult]:
        """Returns one result per row; rows of earlier phases are not trained again.

        Args:
            rows: The rows.
            mixtures: Further mixtures that rows train on: the names of their tasks, keyed by name.
        """
        ...


class Plan(Protocol[Results]):
    """The phases of training of a command."""

    @property
    def tasks(self) -> Sequence[str]:
        """Names of all tasks and mixtures of the plan."""
        ...

    @property
    def save_steps(self) -> tuple[int, ...]:
        """Steps after which each row's trainable is also saved."""
        ...

    @property
    def outline(self) -> list[Row]:
        """All rows of the plan; those that depend on earlier results are placeholders."""
        ...

    @property
    def most_rows(self) -> int:
        """Maximum number of rows that train concurrently in the first phase."""
        ...

    def describe(self) -> list[str]:
        """Returns lines on what will be trained; none if the table of needs is enough."""
        ...

    def run(self, tune: Tune, directory: RunDirectory) -> Results:
        """Trains all phases and returns their results.

        Args:
            tune: Trains the rows of a phase.
            directory: The run's directory.
        """
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """One row per target and seed, optionally after one of a source.

    Attributes:
        targets: Tasks or mixtures.
        seeds: Seeds of the targets' rows; the source uses the first.
        start: Initializer of rows that do not start from the source.
        schedule: Schedule of the targets' rows.
        source: A source trained first, whose best all targets start from; or None.
        save_steps: Steps after which each row's trainable is also saved.
        tunes_model: Whether rows tune models instead of prompts.
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
        """All rows: that of the source, if any, then one per target and seed."""
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

    def describe(self) -> list[str]:
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
            )
        ]
