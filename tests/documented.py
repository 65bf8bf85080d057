"""Commands, files and Python as documents show them."""

import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from prompt_tuning.cli import command_config, configuration, gin_config
from prompt_tuning.cli.commands import COMMANDS, PLAIN_COMMANDS

_COMMAND = re.compile(
    r"^    (?:\.venv/bin/)?((?:prompt-tuning|python|scripts/\w+)(?= |$)(?:.*\\\n)*.*)$",
    re.MULTILINE,
)
_FILE = re.compile(r"^```\w+\n# (\S+\.(?:py|gin))\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(text: str, program: str = "prompt-tuning") -> list[str]:
    """Returns the commands of a document that run a program, each in one line."""
    shown = [command.replace("\\\n", " ") for command in _COMMAND.findall(text)]
    return [command for command in shown if command.split()[0].startswith(program)]


def write_files(text: str, folder: Path) -> list[Path]:
    """Writes the files of a document, code blocks whose first line is their name."""
    paths = []
    for name, content in _FILE.findall(text):
        paths.append(folder / name)
        paths[-1].write_text(content, encoding="utf-8")
    return paths


def check_complete(text: str) -> None:
    """Asserts that a documented command has every setting that it needs."""
    _, name, *words = shlex.split(text)
    if name in PLAIN_COMMANDS:
        assert words
        return
    values: dict[str, list[str]] = {"--gin_file=": [], "--gin.": [], "--library=": []}
    for word in words:
        if word != "--dry_run":
            (flag,) = (flag for flag in values if word.startswith(flag))
            values[flag].append(word.removeprefix(flag))
    command = COMMANDS[name]
    if values["--library="]:
        assert command.with_library
        command = command.with_library
    importlib.import_module(command.module)
    read = (values["--gin_file="], values["--gin."], [])
    config = command_config.read_command_config(name, command, *read)
    assert configuration.config_text(gin_config.operative_config(config, command.function))


def python_blocks(text: str) -> list[str]:
    """Returns the blocks of a document that are fenced as Python, but for those of files."""
    return re.findall(r"^```python\n(?!# \S+\.py\n)(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run_python(blocks: list[str], home: Path) -> str:
    """Runs the blocks of a document, in order and as one program; returns what it prints.

    Args:
        blocks: The blocks.
        home: The program's home, where caches are, and its working directory.
    """
    run = subprocess.run(
        [sys.executable, "-W", "error::UserWarning:__main__", "-c", "\n".join(blocks)],
        cwd=home,
        env=os.environ | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
