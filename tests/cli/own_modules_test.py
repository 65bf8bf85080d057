"""A gin file may import modules of the user's own, as T5X's gin files do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import prompt_tuning.configurables  # noqa: F401
from prompt_tuning.cli import command_config, configuration, gin_config
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.cli.configuration import Config
from prompt_tuning.types import UserError

MODULE = '''\
import dataclasses

import gin
import numpy as np


class Start:
    """Is a way for prompts to begin."""

    after = None

    def describe(self):
        return {"init": type(self).__name__.lower(), "value": self.value}

    def prompt(self, key, shape, context):
        return np.full(shape, self.value, np.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(Start):
    value: float


class Uniform(Constant):
    """Has the name of one of ours."""


@gin.configurable
@dataclasses.dataclass(frozen=True, kw_only=True)
class Decorated_{m}(Start):
    value: float
'''
DYNAMIC = "from __gin__ import dynamic_registration\n"
DIALECTS = {
    "module": DYNAMIC + "import {m}\nPROMPT_INIT = @{m}.Constant()\n{m}.Constant.value = 0.5\n",
    "as": DYNAMIC + "import {m}.sub as s\nPROMPT_INIT = @s.Constant()\ns.Constant.value = 0.5\n",
    "from": DYNAMIC + "from {m} import sub\nPROMPT_INIT = @sub.Constant()\n"
    "sub.Constant:\n    value = 0.5\n",
    "scoped": DYNAMIC + "import {m}\nfrom prompt_tuning.training import schedule\n"
    "PROMPT_INIT = @a/{m}.Constant()\n{m}.Constant.value = 2.0\na/{m}.Constant.value = 0.5\n"
    "schedule.Schedule.batch_size = 3\n",
    "decorated": "import {m}.sub\nPROMPT_INIT = @Decorated_{m}()\nDecorated_{m}.value = 0.5\n",
    "decorated_in_full": "import {m}.sub\nPROMPT_INIT = @{m}.sub.Decorated_{m}()\n"
    "{m}.sub.Decorated_{m}.value = 0.5\n",
}


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Writes a package, with a name of its own for each test, and `{m}.sub` in it."""
    package = tmp_path / f"own_{abs(hash(request.node.name))}"
    package.mkdir()
    (package / "__init__.py").write_text("from .sub import Constant\n")
    (package / "sub.py").write_text(MODULE.replace("{m}", package.name))
    return package


@pytest.fixture
def read(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Returns a function from the text of a gin file to the configuration of `train`."""
    monkeypatch.syspath_prepend(folder.parent)

    def read(text: str) -> Config:
        file = write(folder, text)
        files, bindings = ["runs/train_mini.gin", str(file)], ["MODEL_DIR='runs/x'"]
        return command_config.read_command_config("train", COMMANDS["train"], files, bindings, [])

    return read


def write(folder: Path, text: str) -> Path:
    file = folder.parent / "own.gin"
    file.write_text(text.replace("{m}", folder.name))
    return file


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_class_of_a_module_is_built(read, folder: Path, dialect: str):
    config = read(DIALECTS[dialect])
    start = gin_config.build_arguments(config, "train")["start"]
    assert start.describe()["value"] == 0.5
    assert type(start).__module__.startswith(folder.name)
    text = configuration.config_text(gin_config.operative_config(config, "train"))
    assert f"\nimport {folder.name}" in text
    assert (f"\n{DYNAMIC}" in text) == ("decorated" not in dialect)
    assert ("\nSchedule.batch_size = 3" in text) == (dialect == "scoped")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DYNAMIC + "import {m}\nPROMPT_INIT = @{m}.Constnat()", ":3: nothing configurable is call"),
        (DYNAMIC + "import {m}\n{m}.Constant.valeu = 1.0", ":3: {m}.Constant has no parameter 'va"),
        (DYNAMIC + "import {m}\nPROMPT_INIT = @{m}.Constant()", "{m}.Constant.value is not set"),
        (DYNAMIC + "import {m}\n{m}.Constant.value = 'a'", ":3: {m}.Constant.value must be a numb"),
        (DYNAMIC + "PROMPT_INIT = @__gin__.Constant()", "nothing configurable is called '__gin__."),
        (
            DYNAMIC + "import {m}\nPROMPT_INIT = @{m}.sub()",
            "nothing configurable is called '{m}.sub",
        ),
        (DYNAMIC + "import {m}.absent", ":2: cannot import '{m}.absent'"),
        ("import {m}\nPROMPT_INIT = @{m}.Constant()", "`from __gin__ import dynamic_registration`"),
        ("from __gin__ import magic", ":1: cannot import '__gin__.magic'"),
    ],
)
def test_a_mistake_is_one_line(read, folder: Path, text: str, message: str):
    with pytest.raises(UserError) as error:
        gin_config.operative_config(read(text), "train")
    assert message.replace("{m}", folder.name) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_dry_run_prints_repeats_the_run(folder: Path):
    """In processes of their own, which know the module by nothing but the file."""
    file = write(folder, DIALECTS["as"].replace("Constant", "Uniform"))
    first = dry_run(folder, "runs/train_mini.gin", file)
    assert "sub.Uniform.value = 0.5" in first and "trainable parameters" in first
    text = first[: first.index("row-steps")].rpartition("\n")[0]
    assert dry_run(folder, write(folder, text)) == first


def dry_run(folder: Path, *files: str | Path) -> str:
    words = [*(f"--gin_file={file}" for file in files), f"--gin.MODEL_DIR='{folder}/run'"]
    done = subprocess.run(
        [sys.executable, "-m", "prompt_tuning.cli.main", "train", "--dry_run", *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder.parent), *sys.path])},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
