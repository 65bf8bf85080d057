"""What the README names exists: its commands, with every setting they need, and its files."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from prompt_tuning.cli import command_config, gin_config
from prompt_tuning.cli.main import COMMANDS, PLAIN_COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = [
    line.replace("\\\n", " ").strip()
    for line in re.findall(r"^    (?:\S*prompt-tuning|scripts)(?:.*\\\n)*.*$", README, re.MULTILINE)
]


@pytest.mark.parametrize("line", [line for line in LINES if "prompt-tuning" in line])
def test_a_command_of_the_readme_is_complete(line: str):
    program, name, *words = shlex.split(line)
    assert program == ".venv/bin/prompt-tuning"
    if name in PLAIN_COMMANDS:
        assert words
        return
    for command in COMMANDS.values():
        importlib.import_module(command.module)
    files = [word.removeprefix("--gin_file=") for word in words if word.startswith("--gin_file=")]
    bindings = [word.removeprefix("--gin.") for word in words if word.startswith("--gin.")]
    assert len(files) + len(bindings) == len([word for word in words if word != "--dry_run"])
    config = command_config.read(name, COMMANDS[name].function, files, bindings, [])
    assert gin_config.operative_config(config, COMMANDS[name].function)


def test_the_readme_has_the_commands_it_is_tested_for():
    assert len([line for line in LINES if "prompt-tuning" in line]) == 3
    assert {line for line in LINES if line.startswith("scripts")} == {
        "scripts/demo",
        "scripts/test",
    }


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_a_link_of_the_readme_leads_somewhere(target: str):
    assert (ROOT / target).exists()
