"""The package from Python: open a model, tune prompts, score, answer, save and load.

These functions do what the commands do, with the same objects. What is not given is as the gin
files have it: those of `configs/`, read as the command reads them, so that a model brings its own
prompt length and the like. Every other setting can be given by its name there, as in
`tune(model, task, DROPOUT_RATE=0.1)`.
"""

import contextlib
import dataclasses
import importlib
import io
import numbers
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from rich.console import Console

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.by_task import summary_table
from prompt_tuning.cli import command_config, configuration, gin_config, gin_files
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.cli.configuration import Config
from prompt_tuning.cli.prompts import OpenPrompts, PromptSettings, join_prompts
from prompt_tuning.data.cached_task import MixtureOrTask, labels_of
from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.data.user_task import summary
from prompt_tuning.data.user_task.reading import FileTask, divide
from prompt_tuning.data.user_task.table import Row, Table
from prompt_tuning.data.user_task.tokens import tokenize
from prompt_tuning.models.decoding import Decoder
from prompt_tuning.parameterizations.parameterization import Parameterization
from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.initializers import Initializer
from prompt_tuning.prompts.usage import check_labels
from prompt_tuning.training import loop, partitioning
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.plan import TrainPlan
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.run import Run
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError, nearest

Task = FileTask | MixtureOrTask
"""What prompts are tuned and scored on: of `make_task` (still text) or of `open_task` (tokens)."""

_DATA_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Model:
    """A pretrained model, open, with the settings it was opened with.

    Attributes:
        opened: The model, its vocabulary, and its parameters once they are needed.
        setup: What it was opened from.
        gin_files: Gin files that its settings are from, after `defaults.gin`.
        settings: Settings by their names in gin files, which win over those.
    """

    opened: OpenModel
    setup: Setup
    gin_files: tuple[str, ...]
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Model({self.opened.name!r}, width {self.opened.width})"


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


def open_model(name: str, **settings: Any) -> Model:
    """Opens a pretrained model; its parameters are read when they are first needed.

    Compiled programs of the process are kept in `CACHE_DIR` from here on, as the commands do.

    Args:
        name: A file of `configs/models/` without its ending, such as `t5_mini`; or a gin file of
            your own, by a name that ends in `.gin`.
        settings: Settings of model and data by their names in gin files, such as
            `COMPUTE_DTYPE="bfloat16"`, `INITIAL_CHECKPOINT_PATH`, `TASK_FEATURE_LENGTHS` (tokens)
            or `CACHE_DIR`.

    Raises:
        UserError: There is no such model or setting, a setting is not of model and data, or what
            is stored is damaged.
    """
    known = [path.stem for path in (gin_files.configs_directory() / "models").glob("*.gin")]
    if not name.endswith(".gin") and name not in known:
        raise UserError(
            f"no model {name!r}{nearest(name, known)}; the models are {', '.join(sorted(known))}"
        )
    chosen = (name if name.endswith(".gin") else f"models/{name}.gin",)
    setup = Setup(**gin_config.arguments_alone(_config("train", chosen, settings), "Setup"))
    setup.keep_compiled_programs()
    return Model(opened=setup.open_model(), setup=setup, gin_files=chosen, settings=settings)


def make_task(
    texts: Sequence[str],
    labels: Sequence[str | float],
    *,
    name: str = "texts",
    validation: tuple[Sequence[str], Sequence[str | float]] | None = None,
    test: tuple[Sequence[str], Sequence[str | float]] | None = None,
    **settings: Any,
) -> FileTask:
    """Makes a task of texts and their labels, which is tokenized where it is used.

    Few different labels are classes, and the words to answer with; many different ones are open
    answers, or numbers. Where no validation or test examples are given, a tenth each of the texts
    is put aside for them, in equal shares of the classes, and the same whatever their order.

    Args:
        texts: The inputs.
        labels: The label, number or answer of each.
        name: What to call the task.
        validation: Texts and labels to choose the best checkpoint by.
        test: Texts and labels to score it on.
        settings: Other fields of `TaskFile`, such as `label_words={"0": "bad", "1": "good"}`,
            `metrics="macro_f1"`, `answers="text"`, `validation_share` or `seed`.

    Raises:
        UserError: There are no texts or too few to divide, a text or label is empty or missing,
            there is one label only, or there is no such setting.
    """
    given = {"train": (texts, labels), "validation": validation, "test": test}
    tables = {split: _table(split, *pair) for split, pair in given.items() if pair is not None}
    fields = [field.name for field in dataclasses.fields(TaskFile)]
    for key in settings:
        if key not in fields:
            raise UserError(f"make_task: a task has no setting {key!r}{nearest(key, fields)}")
    defaults = gin_config.arguments_alone(_config("train", ("defaults.gin",), {}), "TaskFile")
    own = {"path": name, "name": name, "inputs": "text", "label": "label"}
    return divide(TaskFile(**{**defaults, **own, **settings}), tables)


def open_task(name: str, model: Model) -> MixtureOrTask:
    """Opens a registered task or mixture, or a file of examples.

    A task that is used for the first time is tokenized, and kept in the model's `CACHE_DIR`.

    Args:
        name: A name that `prompt-tuning tasks` lists; or a CSV, TSV or JSONL file, which
            `docs/data.md` describes.
        model: The model that will read it.

    Raises:
        UserError: There is no such task or file, or it cannot be tokenized.
    """
    setup, console = model.setup, _console()
    if name.lower().endswith(_DATA_ENDINGS):
        file = dataclasses.replace(setup.task_file, path=name)
        setup = dataclasses.replace(setup, task_file=file)
        name = setup.named_tasks(None)[0]
    vocabulary = model.opened.vocabulary
    return setup.open_tasks([name], vocabulary, tfds_data_dir=None, console=console)[name]


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
    opened = _by_name([_tokenized(model, task) for task in _several(tasks)])
    for part in (part for task in opened.values() for part in task.tasks):
        part.check_trainable()
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="prompt_tuning."))
        run_directory = RunDirectory(directory)
        settings |= {"MODEL_DIR": str(directory), "MIXTURE_OR_TASK_NAME": tuple(opened)}
        config = _config("train", model.gin_files, {**model.settings, **settings})
        arguments = gin_config.arguments_alone(config, "train")
        tuning = arguments["run"].tuning
        _check_setup(model, arguments["run"].setup)
        if parameterization is not None:
            tuning = dataclasses.replace(tuning, parameterization=parameterization)
        plan = TrainPlan(
            targets=list(opened),
            seeds=_several(arguments["seeds"]),
            start=start or arguments["start"],
            schedule=arguments["schedule"],
            source=None,
            save_steps=_several(arguments["save_steps"]),
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
            console=_console(),
        )
        outcomes = loop.tune(plan.outline, run=run, config=tuning)
        results.write(run_directory.results, [outcome.result() for outcome in outcomes])
        folders = {row.name: run_directory.row(row.name) for row in plan.outline}
        prompts = {name: files.load(path / "best.safetensors") for name, path in folders.items()}
    return Result(outcomes=outcomes, prompts=prompts)


@overload
def score(
    model: Model,
    prompts: Prompt,
    task: Task,
    *,
    split: str | None = None,
    decoder: Decoder | None = None,
    **settings: Any,
) -> float: ...


@overload
def score(
    model: Model,
    prompts: Sequence[Prompt],
    task: Task,
    *,
    split: str | None = None,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[float]: ...


def score(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    task: Task,
    *,
    split: str | None = None,
    decoder: Decoder | None = None,
    **settings: Any,
) -> float | list[float]:
    """Scores prompts on a task, all in the same batches.

    Args:
        model: The model that they were tuned on.
        prompts: Prompt, or several of one length.
        task: The task; another than their own gives their zero-shot transfer.
        split: `validation` or `test`; None for test where there is one.
        decoder: How answers are read off the model; None as the gin files have it.
        settings: Any other setting of the command `eval` by its name in gin files.

    Returns:
        The score, 0-100: the mean of the task's metrics. A list of them for several prompts.

    Raises:
        UserError: A prompt is not for this model or these labels, prompts differ in length or in
            how they are used, or there is no such split.
    """
    settings |= {"MODEL_DIR": "unused", "PROMPT_FILES": (), "SPLIT": split}
    _, opened = _join(model, prompts, "eval", settings, decoder)
    cached = _tokenized(model, task, opened.setup.target_prefix or "")
    for prompt in opened.prompts:
        check_labels(prompt, cached.name, labels_of(cached))
    evaluator = opened.evaluator(model.setup.choose_shapes({cached.name: cached}))
    items = [(i, cached.tasks) for i in range(len(opened.prompts))]
    scores = [metrics["score"] for metrics in evaluator.score(opened.bank, items, split)]
    return scores[0] if isinstance(prompts, Prompt) else scores


@overload
def answer(
    model: Model,
    prompts: Prompt,
    texts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[str]: ...


@overload
def answer(
    model: Model,
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[list[str]]: ...


def answer(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    texts: Sequence[str],
    *,
    decoder: Decoder | None = None,
    **settings: Any,
) -> list[str] | list[list[str]]:
    """Answers texts with prompts, all in the same batches.

    Args:
        model: The model that the prompts were tuned on.
        prompts: Prompt, or several of one length.
        texts: Inputs, as the task of the prompts has them.
        decoder: How answers are read off the model; None as the gin files have it. `Rank()` of
            `prompt_tuning.models.scoring` chooses among the label words of a prompt.
        settings: Any other setting of the command `infer` by its name in gin files.

    Returns:
        The answer to each text. A list of these lists for several prompts.

    Raises:
        UserError: A text is empty, a prompt is not for this model, or prompts differ in length or
            in how they are used.
    """
    texts = _texts("answer: texts", texts)
    settings |= {"INPUT_FILE": "unused", "OUTPUT_FILE": "unused", "PROMPT_FILES": ()}
    arguments, opened = _join(model, prompts, "infer", settings, decoder)
    answers, cut = opened.answer(
        [(text, i) for i in range(len(opened.prompts)) for text in texts],
        words=opened.label_words(arguments["labels"]),
        most_tokens=arguments["max_target_tokens"],
    )
    if cut:
        longest = opened.setup.feature_lengths["inputs"]
        _warn(f"{cut} inputs are cut to {longest} tokens (TASK_FEATURE_LENGTHS)")
    if isinstance(prompts, Prompt):
        return answers
    return [answers[start : start + len(texts)] for start in range(0, len(answers), len(texts))]


def _config(command: str, chosen: Sequence[str], settings: Mapping[str, Any]) -> Config:
    """Returns the configuration of a command, from gin files and from settings by name."""
    importlib.import_module(COMMANDS[command].module)
    bindings = [f"{name} = {_plain(value)!r}" for name, value in settings.items()]
    return command_config.read(command, COMMANDS[command], chosen, bindings, ())


def _plain(value: Any) -> Any:
    """Returns a value as gin files write it: paths as texts, NumPy's numbers as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _operative(config: Config, **objects: Any) -> str:
    """Returns what ran as the text of a gin file; objects made in Python stand in comments."""
    lines = [f"# {name} was given in Python: {item!r}" for name, item in objects.items() if item]
    return "\n".join([*lines, configuration.text(gin_config.operative(config, "train"))])


def _check_setup(model: Model, setup: Setup) -> None:
    """Raises where settings ask for another model or other data than are open."""
    if setup != model.setup:
        differ = [key for key, value in vars(setup).items() if value != vars(model.setup)[key]]
        raise UserError(f"settings change the model's {', '.join(differ)}; give them to open_model")


def _join(
    model: Model,
    prompts: Prompt | Sequence[Prompt],
    command: str,
    settings: Mapping[str, Any],
    decoder: Decoder | None,
) -> tuple[dict[str, Any], OpenPrompts]:
    """Returns the arguments of a command, and prompts joined to be used by it."""
    several = [prompts] if isinstance(prompts, Prompt) else list(prompts)
    if not several:
        raise UserError("there are no prompts; give one, or several")
    config = _config(command, model.gin_files, {**model.settings, **settings})
    arguments = gin_config.arguments_alone(config, COMMANDS[command].function)
    how: PromptSettings = arguments["prompts"]
    _check_setup(model, how.setup)
    how = dataclasses.replace(how, setup=model.setup, decoder=decoder or how.decoder)
    opened = join_prompts([prompt.name for prompt in several], several, how, model.opened)
    for line in opened.remarks:
        _warn(line)
    return arguments, opened


def _tokenized(model: Model, task: Task, target_prefix: str | None = None) -> MixtureOrTask:
    """Returns a task as tokens of the model's vocabulary.

    Args:
        model: The model.
        task: The task.
        target_prefix: What its targets are to begin with; None as the model was opened.

    Raises:
        UserError: A label word cannot be written in this vocabulary.
    """
    if target_prefix is None:
        target_prefix = model.setup.target_prefix or ""
    vocabulary = model.opened.vocabulary
    if isinstance(task, FileTask):
        file = tokenize(task, vocabulary, model.setup.feature_lengths)
        for line in summary.warnings(file):
            _warn(line)
        task = file.task
    prefixes = {part.target_prefix for part in task.tasks}
    if prefixes == {target_prefix}:
        return task
    if prefixes != {""}:
        raise UserError(
            f"the targets of {task.name} begin with {', '.join(map(repr, sorted(prefixes)))}, but "
            f"the prompt was tuned with {target_prefix!r}; open the task with a model that has "
            "this TARGET_PREFIX"
        )
    return with_target_prefix(task, target_prefix, vocabulary)


def _by_name(tasks: Sequence[MixtureOrTask]) -> dict[str, MixtureOrTask]:
    for name, count in Counter(task.name for task in tasks).items():
        if count > 1:
            raise UserError(f"two tasks are called {name!r}; give make_task another name")
    return {task.name: task for task in tasks}


def _table(split: str, texts: Sequence[str], labels: Sequence[str | float]) -> Table:
    """Returns texts and labels as a file of them would be read."""
    place = f"make_task: {split}"
    texts, labels = _texts(f"{place} texts", texts), list(labels)
    if len(texts) != len(labels):
        raise UserError(f"{place}: {len(texts)} texts and {len(labels)} labels; give one for each")
    for i, label in enumerate(labels):
        text = isinstance(label, str) and label.strip()
        if not text and (not isinstance(label, numbers.Real) or label != label):
            raise UserError(f"{place} labels: number {i} is {label!r}; give a word or a number")
    rows = [
        Row(i, {"text": text, "label": str(label)})
        for i, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    return Table(Path("make_task"), ("text", "label"), rows)


def _texts(place: str, texts: Sequence[str]) -> list[str]:
    """Returns texts as a list, none of them empty."""
    if isinstance(texts, str):
        raise UserError(f"{place}: this is one text; put it in a list")
    texts = list(texts)
    if not texts:
        raise UserError(f"{place}: there are none; give at least one")
    for i, text in enumerate(texts):
        if not isinstance(text, str) or not text.strip():
            raise UserError(f"{place}: number {i} is {text!r}; give a text that is not empty")
    return texts


def _several(items: Any) -> tuple[Any, ...]:
    return tuple(items) if isinstance(items, list | tuple) else (items,)


def _console() -> Console:
    """Returns where progress is shown: not among what a program prints."""
    return Console(stderr=True)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
