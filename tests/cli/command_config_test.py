"""The configuration of a command: the defaults below every file, and data of one's own."""

import subprocess
import sys
from pathlib import Path

import pytest

import prompt_tuning.configurables  # noqa: F401
from prompt_tuning.cli import command_config
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.cli.configuration import Config
from prompt_tuning.types import UserError

FILE = "TASK_FILE='data/my reviews.csv'"


def value(config: Config, name: str):
    """Returns the value of a macro."""
    binding = config.macro(name)
    assert binding is not None
    return binding.value


def read(files: list[str], *bindings: str, name: str = "train") -> Config:
    return command_config.read_command_config(name, COMMANDS[name], files, bindings, [])


def test_a_file_that_does_not_include_the_defaults_stands_on_them():
    config = read(["models/t5_mini.gin"])
    assert (value(config, "PROMPT_LENGTH"), value(config, "TRAIN_STEPS")) == (16, 30000)


def test_a_file_that_includes_the_defaults_still_wins_over_those_before_it(tmp_path: Path):
    file = tmp_path / "short.gin"
    file.write_text("TRAIN_STEPS = 7\n")
    assert value(read([str(file)]), "TRAIN_STEPS") == 7
    assert value(read([str(file), "runs/train_mini.gin"]), "TRAIN_STEPS") == 400
    assert value(read(["runs/train_mini.gin", str(file)]), "TRAIN_STEPS") == 7


def test_own_data_needs_no_gin_file_and_no_directory(capsys: pytest.CaptureFixture[str]):
    config = read([], FILE)
    assert value(config, "INITIAL_CHECKPOINT_PATH") == "t5_mini"
    assert value(config, "MODEL_DIR") == "runs/my reviews.train"
    assert "t5_mini, a tiny stand-in" in capsys.readouterr().out
    assert value(read([], FILE, "MODEL_DIR='x'"), "MODEL_DIR") == "x"
    assert value(read(["models/t5_mini.gin"], FILE), "MODEL_DIR") == "runs/my reviews.train"
    assert capsys.readouterr().out.count("stand-in") == 1


def test_a_command_with_a_model_needs_a_gin_file_and_another_does_not():
    with pytest.raises(UserError, match="train needs --gin_file=FILE; see"):
        read([], "TRAIN_STEPS=3")
    assert value(read([], "REPORT_DIRS='runs'", name="report"), "REPORT_DIRS") == "runs"


OF_OTHERS = """
import sys
from prompt_tuning.cli import command_config, configuration, gin_config, train
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.types import UserError

def text(*bindings):
    files = ["runs/train_mini.gin", sys.argv[1]]
    try:
        config = command_config.read_command_config("train", COMMANDS["train"], files, bindings, [])
        return configuration.config_text(gin_config.operative_config(config, "train"))
    except UserError as error:
        return str(error)

print(*(text("MODEL_DIR='x'", *words.split()) for words in sys.argv[2:]), sep="\\0")
assert not {name for name in sys.modules if name.startswith("prompt_tuning.cli.eval")}
"""


def test_a_file_may_set_what_is_for_other_commands_and_the_command_line_may_not(tmp_path: Path):
    """In a process where only `train` was imported, as `prompt-tuning train` has it."""
    file = tmp_path / "shared.gin"
    file.write_text(
        "evaluate.tasks = 'mini_cr'\nDECODER = @Beam()\nMIXTURE_STEPS = 5\n"
        "target/Schedule.steps = %TARGET_STEPS\nSpotPlan.baselines = (@Uniform(),)\n"
    )
    cases = {
        "": "# Written by prompt-tuning",
        "evaluate.tasks=1": "--gin.evaluate.tasks: it has no effect on 'train'; it is for eval",
        "evaluate.task=1": "--gin.evaluate.task: evaluate has no parameter 'task' (did you mean ta",
        "SPLIT='test'": "--gin.SPLIT: it has no effect on 'train'; it is for eval",
        "PROMPT_INIT=@SpotPlan()": "--gin.PROMPT_INIT: @SpotPlan() is for spot, not for 'train'",
        "TRAIN_STEPS=%SHOTS": "--gin.TRAIN_STEPS: %SHOTS is for eval, not for 'train'",
        "SpotPlam.source=1": "nothing configurable is called 'SpotPlam' (did you mean SpotPlan",
        "TARGET_STEP=1": "nothing uses the macro TARGET_STEP (did you mean TARGET_STEPS",
    }
    command = [sys.executable, "-c", OF_OTHERS, str(file), *cases]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for answer, message in zip(output.split("\0"), cases.values(), strict=True):
        assert message in answer
    assert "evaluate" not in output.split("\0")[0]
