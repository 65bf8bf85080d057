"""Gin files and flags become one checked configuration, or one clear line."""

import gin
import pytest

from prompt_tuning.cli import configuration, gin_config, gin_files
from prompt_tuning.cli.configuration import Config
from prompt_tuning.types import UserError

DEFAULTS = """\
STEPS = 10  # optimizer steps
NAME = 'first'
LENGTHS = {'inputs': 64, 'targets': 8}
FOLDER = %gin.REQUIRED

toy.steps = %STEPS
toy.name = %NAME
toy.lengths = %LENGTHS
toy.schedule = @toy_schedule()
toy.folder = %FOLDER
toy_schedule.rate = 0.3
toy_schedule.steps = %STEPS
other_toy.name = %NAME
other_toy.size = 3
"""


def toy(
    *,
    steps: int,
    name: str,
    lengths: dict[str, int],
    schedule: tuple[float, int],
    folder: str | None,
    dry_run: bool,
) -> None:
    """Is a command with one parameter that the command line sets."""


def toy_schedule(*, rate: float, steps: int) -> tuple[float, int]:
    """Is what a parameter of the command refers to."""
    return rate, steps


def other_toy(*, name: str, size: int) -> None:
    """Is a command that another command does not call."""


for function in (toy, toy_schedule, other_toy):
    gin.external_configurable(function, module="gin_config_test")


def parse(files: list[str], bindings: list[str], search_paths: list[str]) -> Config:
    return gin_config.build_config(gin_files.read_gin_files(files, bindings, search_paths))


@pytest.fixture
def defaults(tmp_path):
    path = tmp_path / "defaults.gin"
    path.write_text(DEFAULTS)
    return str(path)


def test_arguments_are_those_of_the_files_and_later_bindings_win(defaults, tmp_path):
    run = tmp_path / "run.gin"
    run.write_text("include 'defaults.gin'\nSTEPS = 20\nFOLDER = 'here'\n")
    config = parse([str(run)], ["NAME = 'second'"], [])
    assert gin_config.build_arguments(config, "toy") == {
        "steps": 20,
        "name": "second",
        "lengths": {"inputs": 64, "targets": 8},
        "schedule": (0.3, 20),
        "folder": "here",
    }


def test_operative_config_has_what_the_command_uses_and_repeats_itself(defaults, tmp_path):
    config = parse([defaults], ["FOLDER = 'here'"], [])
    text = configuration.config_text(gin_config.operative_config(config, "toy"))
    saved = tmp_path / "operative_config.gin"
    saved.write_text(text)
    again = configuration.config_text(
        gin_config.operative_config(parse([str(saved)], [], []), "toy")
    )
    assert text == again
    assert "other_toy" not in text
    assert "toy_schedule.steps = %STEPS" in text


def test_a_scope_binds_over_the_general_value(defaults, tmp_path):
    scoped = [
        "FOLDER = None",
        "toy.schedule = @slow/toy_schedule()",
        "slow/toy_schedule.rate = 0.1",
    ]
    config = parse([defaults], scoped, [])
    assert gin_config.build_arguments(config, "toy")["schedule"] == (0.1, 10)


def test_long_values_survive_writing(defaults, tmp_path):
    name = "'" + "long " * 40 + "'"
    lengths = "{" + ", ".join(f"'feature_{i}': {i}" for i in range(30)) + "}"
    config = parse([defaults], ["FOLDER=None", f"NAME={name}", f"LENGTHS={lengths}"], [])
    saved = tmp_path / "operative_config.gin"
    saved.write_text(configuration.config_text(gin_config.operative_config(config, "toy")))
    values = gin_config.build_arguments(parse([str(saved)], [], []), "toy")
    assert values["name"] == "long " * 40
    assert values["lengths"]["feature_29"] == 29


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("toy.stepz = 3", "{file}:1: toy has no parameter 'stepz' (did you mean steps?)"),
        ("tyo.steps = 3", "{file}:1: nothing configurable is called 'tyo' (did you mean toy"),
        ("STEP = 3", "{file}:1: nothing uses the macro STEP (did you mean STEPS"),
        ("toy.steps = %STEP", "{file}:1: the macro %STEP has no value (did you mean STEPS"),
        ("toy.schedule = @toy_shedule()", "{file}:1: nothing configurable is called 'toy_shedule'"),
        ("toy.steps = ", "{file}:1: gin syntax error"),
        ("toy.steps = (1, 2", "{file}:1: gin syntax error: a bracket or quote is not"),
        ("\ntoy.steps 3", "{file}:2: gin syntax error"),
        ("toy.steps = 'many'", "{file}:1: toy.steps must be an integer, not 'many'"),
        ("STEPS = 1.5", "{file}:1: STEPS (toy.steps uses it) must be an integer, not 1.5"),
        ("toy.dry_run = True", "{file}:1: toy.dry_run is set by the flags"),
        ("STEPS = %STEPS", "{file}:1: the macro %STEPS is defined by itself"),
        ("include 'default.gin'", "{file}:1: gin file 'default.gin' not found"),
        ("include 'run.gin'", "{file}: the file includes itself"),
        ("import no_such_module", "{file}:1: cannot import 'no_such_module'"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_place(defaults, tmp_path, line, message):
    run = tmp_path / "run.gin"
    run.write_text(f"{line}\n")
    with pytest.raises(UserError) as error:
        parse([defaults, str(run)], [], [])
    assert str(error.value).startswith(message.format(file=run))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("STEP = 3", "--gin.STEP: nothing uses the macro STEP (did you mean STEPS"),
        (
            "toy.folder='a'",
            "--gin.toy.folder: toy.folder takes its value from the macro FOLDER, which nothing else"
            " uses; set FOLDER in its place",
        ),
        ("toy.stepz=3", "--gin.toy.stepz: toy has no parameter 'stepz' (did you mean steps?)"),
        (
            "NAME=plain",
            "--gin.NAME: cannot read the value 'plain'; numbers are plain, strings need",
        ),
        (
            "NAME=/tmp/x.csv",
            "--gin.NAME: cannot read the value '/tmp/x.csv'; numbers are plain, strings need "
            "quotes that reach the program, as in --gin.NAME=\"'/tmp/x.csv'\"",
        ),
        ("NAME=", "--gin.NAME: cannot read the value ''"),
        ("=3", "--gin.: '' is not a name; write --gin.NAME=VALUE"),
        ("STEPS={[1]: 2}", "--gin.STEPS: cannot read the value '{[1]: 2}'"),
        ("STEPS=1e999", "--gin.STEPS: STEPS is too large for a number"),
        ("NAME", "--gin.NAME: no value; write --gin.NAME=VALUE"),
        ("other_toy.size=3", "--gin.other_toy.size: it has no effect on 'toy'"),
        ("STEPS=3", "FOLDER (toy.folder uses it) is not set; add --gin.FOLDER=VALUE"),
    ],
)
def test_a_mistake_in_a_flag_is_one_line(defaults, binding, message):
    folder = [] if binding == "STEPS=3" else ["FOLDER='here'"]
    with pytest.raises(UserError) as error:
        gin_config.operative_config(parse([defaults], [*folder, binding], []), "toy")
    assert str(error.value).startswith(message)


def test_a_parameter_that_nothing_binds_is_named(tmp_path):
    path = tmp_path / "partial.gin"
    path.write_text("other_toy.size = 3\n")
    with pytest.raises(UserError, match=r"^other_toy.name is not set; add --gin.other_toy.name="):
        gin_config.operative_config(parse([str(path)], [], []), "other_toy")


def test_missing_file_and_binary_file_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"--gin_file: gin file 'absent.gin' not found"):
        gin_files.read_gin_files(["absent.gin"], [], [])
    (tmp_path / "binary.gin").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"binary.gin: cannot read this gin file: it is not text"):
        gin_files.read_gin_files([str(tmp_path / "binary.gin")], [], [])


def test_search_paths_find_files(defaults, tmp_path):
    config = parse(["defaults.gin"], ["FOLDER=None"], [str(tmp_path)])
    assert gin_config.operative_config(config, "toy").macro("STEPS")
