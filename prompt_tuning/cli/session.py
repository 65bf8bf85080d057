"""What the commands share: from a configuration to trained rows."""

import dataclasses
from collections.abc import Sequence

import jax
from rich.console import Console

from prompt_tuning.training import loop, partitioning
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.training.kept import check_model_starts
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.plan import describe, describe_shapes, listed_shapes
from prompt_tuning.training.rows import Row, check_rows
from prompt_tuning.training.run import Run
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """Opens what a configuration says.

    Attributes:
        setup: Pretrained model and data.
        tuning: Settings of the train step and the loop.
        task_names: All tasks and mixtures of the run.
        save_steps: Steps after which what each row trains is kept.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        console: Where to print.
        model: The pretrained model, where it is open already.
    """

    setup: Setup
    tuning: TuneConfig
    task_names: Sequence[str]
    save_steps: tuple[int, ...]
    tfds_data_dir: str | None
    console: Console
    model: OpenModel | None = None

    def check(self, rows: Sequence[Row]) -> None:
        """Checks what can be checked of rows before anything is opened."""
        check_rows(rows, save_steps=self.save_steps)

    def dry_run(self, rows: Sequence[Row]) -> None:
        """Prints what training the rows needs, and what a file of the user's own holds.

        No other task is tokenized, and nothing is compiled or written.
        """
        self.check(rows)
        outline = self.setup.outline()
        if self.tuning.parameterization.tunes_model:
            check_model_starts(rows, outline.param_dtype)
        tasks = self.setup.preview_tasks(self.task_names, self.console)
        lengths = self.setup.feature_lengths
        shapes = [(lengths["inputs"], lengths["targets"])]
        if tasks is not None:
            shapes = self.setup.choose_shapes(tasks)
        table = describe(rows, outline, self.tuning, shapes[-1])
        for name, value in describe_shapes(rows, tasks, shapes, self.tuning).items():
            table.add_row(name, value)
        self.console.print(table)

    def open(self, directory: RunDirectory, operative_config: str, most_rows: int) -> Run:
        """Opens model and data.

        Args:
            directory: Where the run's files are.
            operative_config: The resolved configuration, kept in the directory.
            most_rows: Rows that will train at the same time, at most.
        """
        tunes_model = self.tuning.parameterization.tunes_model
        partitioning.use_cpu_cores(1 if tunes_model else most_rows)
        model = self.model or self.setup.open_model()
        self.setup.keep_compiled_programs()
        tasks = self.setup.open_tasks(
            self.task_names,
            model.vocabulary,
            tfds_data_dir=self.tfds_data_dir,
            console=self.console,
        )
        for part in (part for task in tasks.values() for part, _ in task.parts):
            part.check_trainable()
        shapes = self.setup.choose_shapes(tasks)
        self.console.print(
            f"{model.name} on {jax.device_count()} {jax.default_backend()} device(s), "
            f"{len(tasks)} task(s), padded to {listed_shapes(shapes)} input + target tokens",
            highlight=False,
        )
        return Run(
            model=model,
            tasks=tasks,
            shapes=shapes,
            directory=directory,
            save_steps=self.save_steps,
            operative_config=operative_config,
            console=self.console,
        )

    def tune(self, rows: Sequence[Row], run: Run) -> list[Outcome]:
        """Trains rows to their ends; those finished before are not trained again."""
        return loop.tune(rows, run, self.tuning)
