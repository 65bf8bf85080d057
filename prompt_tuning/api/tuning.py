"""Tuning prompts, and what that gives."""

import contextlib
import dataclasses
import io
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.by_task import summary_table
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
    """What `tune` gives; it prints as a table of scores.

    Attributes:
        outcomes: The outcome of each row: one for each task and seed, in this order.
        prompts: The prompt of each row, of its checkpoint best on validation, by the row's name.
    """

    outcomes: Sequence[RowResult]
    prompts: Mapping[str, Prompt]

    @property
    def results(self) -> list[dict[str, Any]]:
        """The rows of `results.json`."""
        return [outcome.result() for outcome in self.outcomes]

    @property
    def scores(self) -> dict[str, float]:
        """The score of each prompt, 0-100, by the row's name.

        It is of the test split, or of validation where a task has no test split.
        """
        return {outcome.row["name"]: outcome.score for outcome in self.outcomes}

    @property
    def curves(self) -> dict[str, list[list[float]]]:
        """`[[step, validation score], ...]` by the row's name."""
        return {outcome.row["name"]: outcome.curve for outcome in self.outcomes}

    @property
    def best(self) -> Prompt:
        """The prompt that is best on validation; the first of equal ones.

        Raises:
            UserError: The prompts are of several tasks.
        """
        tasks = {outcome.row["task"]: None for outcome in self.outcomes}
        if len(tasks) > 1:
            raise UserError(
                f"these prompts are of {', '.join(tasks)}, and scores of different tasks do not "
                "compare; choose from result.prompts"
            )
        best = max(self.outcomes, key=lambda outcome: outcome.validation)
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

    What is None is as the gin files have it.

    Args:
        model: The model.
        tasks: Task, or several of different names.
        steps: Updates of each prompt.
        seeds: Seed, or several.
        batch_size: Examples of an update, B.
        learning_rate: Constant.
        eval_period: Steps between evaluations on validation.
        prompt_length: Tokens of a prompt, P.
        start: How prompts begin, an initializer such as `SampledVocab(None)`.
        parameterization: What is trained and which prompts that gives; it says P itself.
        directory: Where to keep the files of the run, as `train` leaves them. An interrupted run
            goes on there, and a finished one is read. None keeps none.
        settings: Any other setting of the command `train` by its name in gin files, such as
            `DROPOUT_RATE=0.1` or `PLACEMENT="suffix_before_eos"`.

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
            "tune: a parameterization says its prompt length itself, and one that tunes the model "
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
        arguments = gin_config.arguments_alone(config, "train")
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
            model=model.opened,
            tasks=opened,
            shapes=model.setup.choose_shapes(opened),
            directory=run_directory,
            save_steps=plan.save_steps,
            operative_config=_operative(config, start=start, parameterization=parameterization),
            console=console(),
        )
        outcomes = loop.tune(plan.outline, run=run, config=tuning)
        results.write_records(run_directory.results, [outcome.result() for outcome in outcomes])
        folders = {row.name: run_directory.row(row.name) for row in plan.outline}
        prompts = {name: files.load(path / "best.safetensors") for name, path in folders.items()}
    return Result(outcomes=outcomes, prompts=prompts)


def _operative(config: Config, **objects: Any) -> str:
    """Returns what ran as the text of a gin file; objects made in Python stand in comments."""
    lines = [f"# {name} was given in Python: {item!r}" for name, item in objects.items() if item]
    return "\n".join([*lines, configuration.text(gin_config.operative(config, "train"))])


def _by_name(tasks: Sequence[MixtureOrTask]) -> dict[str, MixtureOrTask]:
    for name, count in Counter(task.name for task in tasks).items():
        if count > 1:
            raise UserError(f"two tasks are called {name!r}; give make_task another name")
    return {task.name: task for task in tasks}
