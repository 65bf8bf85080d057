"""Tunes prompts, and returns them with their scores."""

import contextlib
import dataclasses
import io
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.analysis.results import write_records
from prompt_tuning.api.model import Model, check_setup, configuration_of, console, several
from prompt_tuning.api.task import Task, tokenized
from prompt_tuning.cli import configuration, gin_config
from prompt_tuning.cli.configuration import Config
from prompt_tuning.data.cached_task import MixtureOrTask
from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.initializers import Initializer
from prompt_tuning.training import loop, partitioning
from prompt_tuning.training.plan import TrainPlan
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.run import Run
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.types import UserError


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Result:
    """The result of `tune`; prints as a table of scores.

    Attributes:
        row_results: The result of each row, one per task and seed, in this order.
        prompts: The prompt of each row at its best validation checkpoint, by the row's name.
    """

    row_results: Sequence[RowResult]
    prompts: Mapping[str, Prompt]

    @property
    def results(self) -> list[dict[str, Any]]:
        """The rows of `results.json`."""
        return [result.record() for result in self.row_results]

    @property
    def scores(self) -> dict[str, float]:
        """The score of each prompt, 0-100, by the row's name.

        On the test split, or on validation if the task has no test split.
        """
        return {result.row["name"]: result.score for result in self.row_results}

    @property
    def curves(self) -> dict[str, list[list[float]]]:
        """`[[step, validation score], ...]` by the row's name."""
        return {result.row["name"]: result.curve for result in self.row_results}

    @property
    def best(self) -> Prompt:
        """The prompt with the best validation score; the first if several tie.

        Raises:
            UserError: The prompts are of several tasks.
        """
        tasks = {result.row["task"]: None for result in self.row_results}
        if len(tasks) > 1:
            raise UserError(
                f"these prompts are of {', '.join(tasks)}, and scores of different tasks cannot be "
                "compared; choose from result.prompts"
            )
        best = max(self.row_results, key=lambda result: result.validation)
        return self.prompts[best.row["name"]]

    def __repr__(self) -> str:
        text = io.StringIO()
        table = summary_table(self.results, "Scores at the checkpoints best on validation")
        Console(file=text, width=100).print(table)
        return text.getvalue().rstrip()


def tune(
    model: Model,
    tasks: Task | Sequence[Task],
    *,
    steps: int | None = None,
    seeds: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    eval_period: int | None = None,
    prompt_length: int | None = None,
    start: Initializer | None = None,
    parameterization: Parameterization | None = None,
    directory: str | Path | None = None,
    **settings: Any,
) -> Result:
    """Tunes a prompt for each task and seed, all at once on one frozen copy of the model.

    None stands for the value of the gin files.

    Args:
        model: The model.
        tasks: Task, or several with different names.
        steps: Updates of each prompt.
        seeds: Seed, or several.
        batch_size: Examples per update, B.
        learning_rate: The constant learning rate.
        eval_period: Steps between evaluations on validation.
        prompt_length: Tokens of a prompt, P.
        start: Initializer of the prompts, such as `SampledVocab(None)`.
        parameterization: What to train, and how prompts are computed from it; it sets P itself.
        directory: Where to keep the run's files, as `train` does. An interrupted run resumes there,
            and a finished one is read. None keeps nothing.
        settings: Other settings of the command `train` by gin name, such as `DROPOUT_RATE=0.1` or
            `PLACEMENT="suffix_before_eos"`.

    Raises:
        UserError: A task or setting cannot be used, or the directory is of another run.
    """
    chosen = {
        "TRAIN_STEPS": steps,
        "RANDOM_SEED": seeds if seeds is None or isinstance(seeds, int) else tuple(seeds),
        "BATCH_SIZE": batch_size,
        "LEARNING_RATE": learning_rate,
        "EVAL_PERIOD": eval_period,
        "PROMPT_LENGTH": prompt_length,
    }
    settings |= {key: value for key, value in chosen.items() if value is not None}
    if parameterization is not None and (prompt_length or parameterization.tunes_model):
        raise UserError(
            "tune: a parameterization sets its own prompt length, and one that tunes the model "
            "gives no prompt; leave out prompt_length, or use prompt-tuning train"
        )
    opened = _by_name([tokenized(model, task) for task in several(tasks)])
    for part in (part for task in opened.values() for part in task.tasks):
        part.check_trainable()
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="prompt_tuning."))
        run_directory = RunDirectory(directory)
        settings |= {"MODEL_DIR": str(directory), "MIXTURE_OR_TASK_NAME": tuple(opened)}
        config = configuration_of("train", model.gin_files, {**model.settings, **settings})
        arguments = gin_config.build_arguments_alone(config, "train")
        check_setup(model, arguments["run"].setup)
        tuning = arguments["run"].tuning
        if parameterization is not None:
            tuning = dataclasses.replace(tuning, parameterization=parameterization)
        plan = TrainPlan(
            targets=list(opened),
            seeds=several(arguments["seeds"]),
            start=start or arguments["start"],
            schedule=arguments["schedule"],
            source=None,
            save_steps=several(arguments["save_steps"]),
            tunes_model=False,
        )
        partitioning.use_cpu_cores(plan.most_rows)
        run = Run(
            config=tuning,
            model=model.opened,
            tasks=opened,
            shapes=model.setup.choose_shapes(opened),
            directory=run_directory,
            save_steps=plan.save_steps,
            operative_config=_operative(config, start=start, parameterization=parameterization),
            console=console(),
        )
        results = loop.tune(plan.outline, run=run)
        write_records(run_directory.results, [result.record() for result in results])
        folders = {row.name: run_directory.row(row.name) for row in plan.outline}
        prompts = {name: files.load(path / "best.safetensors") for name, path in folders.items()}
    return Result(row_results=results, prompts=prompts)


def _operative(config: Config, **objects: Any) -> str:
    """Returns the configuration as a gin file, with objects made in Python as comments."""
    lines = [f"# {name} was given in Python: {item!r}" for name, item in objects.items() if item]
    return "\n".join(
        [*lines, configuration.config_text(gin_config.operative_config(config, "train"))]
    )


def _by_name(tasks: Sequence[MixtureOrTask]) -> dict[str, MixtureOrTask]:
    for name, count in Counter(task.name for task in tasks).items():
        if count > 1:
            raise UserError(f"two tasks are called {name!r}; give make_task another name")
    return {task.name: task for task in tasks}
