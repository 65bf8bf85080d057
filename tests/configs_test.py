"""Every gin file of the project parses, and the defaults have one home: `configs/`."""

import inspect
import itertools
import shlex
from collections import Counter
from pathlib import Path

import gin
import pytest

import prompt_tuning.configurables  # noqa: F401
from prompt_tuning.cli import command_config, configuration, gin_config, gin_files, registry, sweep
from prompt_tuning.cli.commands import COMMANDS, Command, with_variants
from prompt_tuning.cli.configuration import Config, flatten
from prompt_tuning.cli.gin_files import Binding, Macro
from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import UNPREFIXED
from prompt_tuning.mini.suite import SUITE
from prompt_tuning.types import UserError

CONFIGS = gin_files.configs_directory()
FILES = sorted(CONFIGS.rglob("*.gin"))
SHIPPED = [CONFIGS / "defaults.gin", *sorted((CONFIGS / "commands").glob("*.gin"))]
CHOICES = [file for file in FILES if file not in SHIPPED]
ALL = {command.function: (name, command) for name, command in with_variants(COMMANDS)}
TRANSFER = {"spot", "spot --library", "study"}


def own(file: Path) -> list[Binding]:
    """Returns what `file` itself binds, without the files it includes."""
    bindings = gin_files.read_gin_files([str(file)], [], []).bindings
    return [binding for binding in bindings if binding.place.rpartition(":")[0] == str(file)]


def configured(name: str, command: Command, *words: str) -> Config:
    """Returns the configuration of a command, given the words of its command line."""
    files = [word.removeprefix("--gin_file=") for word in words if "--gin_file=" in word]
    bindings = [word.removeprefix("--gin.") for word in words if "--gin." in word]
    return command_config.read_command_config(name, command, files, bindings, [])


def test_stock_gin_reads_every_file():
    assert len(FILES) > 60
    for file in FILES:
        gin.clear_config()
        gin.parse_config_file(str(file))
    gin.parse_config("MODEL_DIR = 'here'")
    gin.parse_config_file("runs/train_mini.gin")  # Looked up in configs/, as includes are.
    gin.parse_config_file("commands/train.gin")
    assert gin.get_bindings("train")["schedule"].steps == 400


def test_train_takes_every_file_and_no_misspelt_macro():
    for file in CHOICES:
        assert configured("train", COMMANDS["train"], f"--gin_file={file}").bindings
        words = (f"--gin_file={file}", "--gin.TRAIN_STEPZ=1")
        with pytest.raises(UserError, match="nothing uses the macro TRAIN_STEPZ"):
            configured("train", COMMANDS["train"], *words)


def test_every_command_takes_every_choice():
    """A model's file, for one, may set what only some commands read."""
    choices = [file for file in CHOICES if file.parent.name != "runs"]
    for name, command in with_variants(COMMANDS):
        assert configured(name, command, *(f"--gin_file={file}" for file in choices)).bindings


@pytest.mark.parametrize("file", sorted((CONFIGS / "runs").glob("*.gin")), ids=lambda f: f.stem)
def test_a_run_opens_with_commands_that_have_all_they_need(file: Path):
    opening = itertools.takewhile(lambda line: line.startswith("#"), file.read_text().splitlines())
    text = "\n".join(line[1:].strip() for line in opening).replace("\\\n", " ")
    commands = [line for line in text.split("\n") if line.startswith("prompt-tuning ")]
    assert commands
    for line in commands:
        _, name, *words = shlex.split(line)
        of_library = any(word.startswith("--library=") for word in words)
        command = COMMANDS[name].with_library if of_library else COMMANDS[name]
        assert command
        config = configured(name, command, *words)
        assert configuration.config_text(gin_config.operative_config(config, command.function))
        binding = config.bindings[gin_config.SWEEP]
        assert binding
        points = sweep.sweep_points(config, command.function)
        assert len({point.name for point in points}) >= len(binding.value or {})


def test_the_models_of_lm_adaptation_are_those_it_keeps():
    words = ("--gin_file=runs/lester_lm_steps.gin", "--gin.MODEL_DIR='x'")
    first, *points = sweep.sweep_points(configured("train", COMMANDS["train"], *words), "train")
    adaptation = own(CONFIGS / "runs" / "lm_adaptation.gin")
    (kept,) = (b.value for b in adaptation if str(b.key) == "train.save_steps")
    assert first.settings == "as the files have it"
    assert [point.name for point in points] == [f"lm_steps={step}" for step in kept]
    for point, step in zip(points, kept, strict=True):
        assert f"c4_prefix_lm.pretrained.seed0.step_{step}'\n" in point.text
        assert f"Adafactor.step_offset = {1_000_000 + step}\n" in point.text


def test_the_defaults_bind_each_parameter_once():
    for command in ALL.values():
        keys = Counter(
            binding.key
            for binding in gin_files.read_gin_files(registry.default_files(command[1])).bindings
        )
        assert [key for key, count in keys.items() if count > 1] == []


def test_a_fact_is_bound_once():
    """What is one fact for several configurables is a macro, and no file writes its value twice."""
    bindings = [binding for file in SHIPPED for binding in own(file)]
    users = {
        "PLACEMENT": ("placement",),
        "EVAL_BATCH_SIZE": ("eval_batch_size",),
        "SIMILARITY": ("similarity",),
        "TARGET_LENGTH": ("max_target_tokens",),
        "LOG_PERIOD": ("log_period",),
        "REMAT": ("remat",),
        "BASELINES": ("baselines",),
        "CHECKPOINT_PERIOD": ("checkpoint_period",),
        "DECODER": ("decoder",),
    }
    for macro, parameters in users.items():
        assert [str(binding.key) for binding in bindings].count(macro) == 1
        values = [binding.value for binding in bindings if binding.key.parameter in parameters]
        assert values and set(values) == {Macro(macro)}
    batches = [b for b in bindings if b.key.parameter == "batch_size" and b.key.name != "Schedule"]
    assert {binding.value for binding in batches} == {Macro("EVAL_BATCH_SIZE")}
    (lengths,) = (b.value for b in bindings if str(b.key) == "TASK_FEATURE_LENGTHS")
    assert lengths["targets"] == Macro("TARGET_LENGTH")


def test_no_default_hides_in_python():
    bound = {(b.key.name, b.key.parameter) for file in SHIPPED for b in own(file)}
    hidden = [
        f"{name}.{parameter.name}"
        for name, function in registry.all_configurables().items()
        if function.__module__.startswith("prompt_tuning.")
        for parameter in registry.gin_parameters(function).values()
        if parameter.default is not inspect.Parameter.empty and (name, parameter.name) not in bound
    ]
    assert hidden == []


@pytest.mark.parametrize("function", ALL)
def test_the_file_of_a_command_binds_all_its_parameters_and_its_example_is_complete(function):
    name, command = ALL[function]
    parameters = set(registry.gin_parameters(registry.find_configurable(function)))
    bindings = own(CONFIGS / command.defaults)
    assert parameters == {b.key.parameter for b in bindings if b.key.name == function}
    _, name, *words = shlex.split(command.example.replace("\\\n", ""))
    config = configured(name, command, *words)
    assert gin_config.operative_config(config, function).bindings


def test_what_only_other_commands_read_is_known_by_its_commands():
    shipped = registry.shipped_settings()
    assert shipped["evaluate.tasks"] == ("eval",)
    assert set(shipped["TARGET_STEPS"]) == TRANSFER
    assert shipped["TRAIN_STEPS"] == shipped["Schedule.steps"] == ()


def test_the_tasks_of_files_are_registered():
    macros = {"MIXTURE_OR_TASK_NAME", "SOURCE_TASK", "SOURCE_TASKS", "TARGET_TASKS", "SOURCE_OF"}
    values = []
    for binding in (binding for file in FILES for binding in own(file)):
        if str(binding.key) in {*macros, "evaluate.tasks"}:
            values.append(binding.value)
        if binding.key == gin_config.SWEEP and binding.value:
            for point in binding.value.values():
                values += [value for name, value in dict(point).items() if name in macros]
    names = {name.removesuffix(UNPREFIXED) for name in flatten(values) if isinstance(name, str)}
    assert len(names) > 50
    assert names <= {*SUITE, *DATASETS, *MIXTURES, "most_similar"}
