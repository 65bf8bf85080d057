"""Every gin file of the project parses, and the defaults have one home: `configs/defaults.gin`."""

import inspect
import itertools
import shlex
from pathlib import Path

import pytest

from prompt_tuning.cli import command_config, gin_config, gin_files, sweep
from prompt_tuning.cli.commands import COMMANDS, functions, register
from prompt_tuning.cli.configuration import flatten
from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.data.datasets.dataset import UNPREFIXED
from prompt_tuning.mini.suite import SUITE
from prompt_tuning.types import UserError

CONFIGS = gin_files.configs_directory()
FILES = sorted(CONFIGS.rglob("*.gin"))
DEFAULTS = CONFIGS / "defaults.gin"
ALL = {command.function: command for command in functions(COMMANDS)}
each_file = pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(CONFIGS).as_posix())


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Imports the commands, which register what gin may bind."""
    register(COMMANDS)


def own(file: Path) -> list[gin_files.Key]:
    """Returns the keys that `file` binds, with those of the files it includes."""
    return [binding.key for binding in gin_files.read([str(file)], [], []).bindings]


def test_the_configs_are_found():
    assert DEFAULTS.is_file()


@each_file
def test_a_file_parses_on_top_of_the_defaults(file):
    config = gin_config.parse([str(DEFAULTS), str(file)], [], [])
    assert config.bindings


@each_file
def test_a_misspelt_macro_is_an_error_on_top_of_any_file(file):
    with pytest.raises(UserError, match="nothing uses the macro TRAIN_STEPZ"):
        gin_config.parse([str(DEFAULTS), str(file)], ["TRAIN_STEPZ=1"], [])


@each_file
def test_a_run_parses_by_itself_and_opens_with_commands_that_do(file):
    if file.parent.name == "runs":
        assert gin_config.parse([str(file)], [], []).bindings
        opening = itertools.takewhile(
            lambda line: line.startswith("#"), file.read_text().splitlines()
        )
        text = "\n".join(line[1:].strip() for line in opening).replace("\\\n", " ")
        commands = [line for line in text.split("\n") if line.startswith("prompt-tuning ")]
        assert commands
        for command in commands:
            _, name, *words = shlex.split(command)
            files = [word.removeprefix("--gin_file=") for word in words if "--gin_file=" in word]
            bindings = [word.removeprefix("--gin.") for word in words if "--gin." in word]
            config = gin_config.parse(files, bindings, [])
            of_library = [word for word in words if word.startswith("--library=")]
            made = COMMANDS[name].with_library if of_library else COMMANDS[name]
            assert made and gin_config.operative_config(config, made.function)
            swept = config.bindings[gin_files.Key("", gin_config.SWEEP, "")].value or {}
            points = sweep.points(config, made.function)
            assert [point.name for point in points] == list(swept)


def test_the_defaults_bind_each_parameter_once():
    keys = own(DEFAULTS)
    assert [key for key in keys if keys.count(key) > 1] == []


def test_no_default_hides_in_python():
    bound = {(key.name, key.parameter) for key in own(DEFAULTS)}
    hidden = [
        f"{name}.{parameter.name}"
        for name, function in gin_config.configurables().items()
        if function.__module__.startswith("prompt_tuning.")
        for parameter in gin_config.gin_parameters(function).values()
        if parameter.default is not inspect.Parameter.empty and (name, parameter.name) not in bound
    ]
    assert hidden == []


@pytest.mark.parametrize("function", ALL)
def test_the_defaults_bind_every_parameter_of_every_command(function):
    parameters = set(gin_config.gin_parameters(gin_config.configurables()[function]))
    bound = {key.parameter for key in own(DEFAULTS) if key.name == function}
    assert parameters == bound


@pytest.mark.parametrize("function", ALL)
def test_the_example_of_every_command_is_complete(function):
    _, name, *words = shlex.split(ALL[function].example.replace("\\\n", ""))
    files = [w.removeprefix("--gin_file=") for w in words if w.startswith("--gin_file=")]
    bindings = [w.removeprefix("--gin.") for w in words if w.startswith("--gin.")]
    config = command_config.read(name, function, files, bindings, [])
    assert gin_config.operative(config, function).bindings


@each_file
def test_the_tasks_of_a_file_are_registered(file):
    macros = {"MIXTURE_OR_TASK_NAME", "SOURCE_TASK", "SOURCE_TASKS", "TARGET_TASKS", "SOURCE_OF"}
    values = []
    for binding in gin_files.read([str(file)], [], []).bindings:
        if str(binding.key) in {*macros, "evaluate.tasks"}:
            values.append(binding.value)
        if str(binding.key) == gin_config.SWEEP and binding.value:
            for point in binding.value.values():
                values += [value for name, value in point.items() if name in macros]
    names = {name.removesuffix(UNPREFIXED) for name in flatten(values) if isinstance(name, str)}
    assert names <= {*SUITE, *DATASETS, *MIXTURES, "most_similar"}
