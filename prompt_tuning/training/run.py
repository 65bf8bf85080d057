"""A run: the model, tokenized tasks and directory shared by its rows."""

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
        config: The parameterization, and settings of the step and the loop.
        model: The pretrained model.
        tasks: The tokenized tasks and mixtures by name.
        shapes: Pairs (T, L) that batches are padded to; the last covers all others.
        directory: The run's directory.
        save_steps: Steps after which each row's trainable is also saved, as `step_<n>`.
        operative_config: The resolved configuration, written to the directory.
        console: Where progress is shown.
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
        """Returns the run with further examples-proportional mixtures of its tasks.

        Args:
            mixtures: The names of each mixture's tasks, keyed by its name.
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
        """Label words of each task; for a mixture, those of all its tasks."""
        return {name: labels_of(task) for name, task in self.tasks.items()}
