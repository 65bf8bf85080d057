"""What the commands share: from a configuration to trained prompts or models."""

import dataclasses
import gc
from collections.abc import Sequence

import jax
from rich.console import Console

from prompt_tuning.training import loop, model_loop, partitioning
from prompt_tuning.training.config import ModelTuneConfig, TuneConfig
from prompt_tuning.training.outcome import Outcome
from prompt_tuning.training.plan import describe, describe_shapes, listed_shapes
from prompt_tuning.training.rows import Row, check_rows
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup, open_vocabulary
from prompt_tuning.training.work import Work


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """Opens what a configuration says.

    Attributes:
        setup: Pretrained model and data.
        tuning: Settings of the train step and the loop.
        task_names: All tasks and mixtures of the run.
        save_steps: Steps after which each row's prompt or model is kept.
        tfds_data_dir: Where TensorFlow Datasets are kept.
        console: Where to print.
    """

    setup: Setup
    tuning: TuneConfig | ModelTuneConfig
    task_names: Sequence[str]
    save_steps: tuple[int, ...]
    tfds_data_dir: str | None
    console: Console

    def check(self, rows: Sequence[Row]) -> None:
        """Checks what can be checked of rows before anything is opened."""
        check_rows(rows, save_steps=self.save_steps)

    def dry_run(self, rows: Sequence[Row]) -> None:
        """Prints what training the rows needs, and what a file of the user's own holds.

        No other task is tokenised, and nothing is compiled or written.
        """
        self.check(rows)
        outline = self.setup.outline()
        if isinstance(self.tuning, ModelTuneConfig):
            model_loop.check_model_rows(rows, outline, self.tuning)
        tasks = self.setup.preview_tasks(self.task_names, self.console)
        lengths = self.setup.feature_lengths
        shapes = [(lengths["inputs"], lengths["targets"])]
        if tasks is not None:
            shapes = self.setup.choose_shapes(tasks)
        table = describe(rows, outline, self.tuning, shapes[-1])
        for name, value in describe_shapes(rows, tasks, shapes, self.tuning).items():
            table.add_row(name, value)
        self.console.print(table)

    def open(self, directory: RunDirectory, operative_config: str, most_rows: int) -> Work:
        """Opens model and data.

        Args:
            directory: Where the run's files are.
            operative_config: The resolved configuration, kept in the directory.
            most_rows: Rows that will train at the same time, at most.
        """
        models = isinstance(self.tuning, ModelTuneConfig)
        partitioning.use_cpu_cores(1 if models else most_rows)
        backbone = self.setup.open_backbone()
        self.setup.keep_compiled_programs()
        vocabulary = open_vocabulary(backbone)
        tasks = self.setup.open_tasks(
            self.task_names, vocabulary, tfds_data_dir=self.tfds_data_dir, console=self.console
        )
        for part in (part for task in tasks.values() for part, _ in task.parts):
            part.check_trainable()
        shapes = self.setup.choose_shapes(tasks)
        self.console.print(
            f"{backbone.config.name} on {jax.device_count()} {jax.default_backend()} device(s), "
            f"{len(tasks)} task(s), padded to {listed_shapes(shapes)} input + target tokens",
            highlight=False,
        )
        return Work(
            backbone=backbone,
            vocabulary=vocabulary,
            tasks=tasks,
            shapes=shapes,
            directory=directory,
            save_steps=self.save_steps,
            operative_config=operative_config,
            console=self.console,
        )

    def tune(self, rows: Sequence[Row], work: Work) -> list[Outcome]:
        """Trains rows to their ends; those finished before are not trained again."""
        gc.collect()  # The model of an earlier call must go before that of this one comes.
        if isinstance(self.tuning, ModelTuneConfig):
            return model_loop.tune_models(rows, work, self.tuning)
        return loop.tune(rows, work, self.tuning)
