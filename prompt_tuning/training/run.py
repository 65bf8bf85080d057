"""A run: the model, the tokenized tasks and the directory that its rows share."""

import dataclasses
from collections.abc import Mapping, Sequence

from rich.console import Console

from prompt_tuning.data.cached_task import MixtureOrTask, labels_of
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.run_directory import RunDirectory


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """Everything the rows of a run share.

    Attributes:
        config: What rows train, and the settings of the step and the loop.
        model: The pretrained model.
        tasks: The tokenized tasks and mixtures by name.
        shapes: Pairs (T, L) that batches are padded to, each covered by the last.
        directory: Where the run's files are.
        save_steps: Steps after which what a row trains is also kept, as `step_<n>`.
        operative_config: What runs, as text that is kept in the directory.
        console: Where to show progress.
    """

    config: TuneConfig
    model: OpenModel
    tasks: Mapping[str, MixtureOrTask]
    shapes: Sequence[tuple[int, int]]
    directory: RunDirectory
    save_steps: Sequence[int]
    operative_config: str
    console: Console

    def with_mixtures(self, mixtures: Mapping[str, tuple[str, ...]]) -> "Run":
        """Returns the run with examples-proportional mixtures of its tasks.

        Args:
            mixtures: Their names, each with its tasks.
        """
        if not mixtures:
            return self
        from prompt_tuning.data.proportional import proportional_mixture

        mixed = {
            name: proportional_mixture(name, [self.tasks[member] for member in members])
            for name, members in mixtures.items()
        }
        return dataclasses.replace(self, tasks={**self.tasks, **mixed})

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """The label words of each task; those of all its tasks for a mixture."""
        return {name: labels_of(task) for name, task in self.tasks.items()}
