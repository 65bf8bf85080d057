"""Commands as documents show them."""

import importlib
import shlex

from prompt_tuning.cli import command_config, configuration, gin_config
from prompt_tuning.cli.commands import COMMANDS, PLAIN_COMMANDS


def check_complete(text: str) -> str:
    """Asserts that a documented command has every setting that it needs; returns its program."""
    program, name, *words = shlex.split(text.replace("\\\n", " "))
    if name in PLAIN_COMMANDS:
        assert words
        return program
    given: dict[str, list[str]] = {"--gin_file=": [], "--gin.": [], "--library=": []}
    for word in words:
        if word != "--dry_run":
            (flag,) = (flag for flag in given if word.startswith(flag))
            given[flag].append(word.removeprefix(flag))
    command = COMMANDS[name]
    if given["--library="]:
        assert command.with_library
        command = command.with_library
    importlib.import_module(command.module)
    read = (given["--gin_file="], given["--gin."], [])
    config = command_config.read(name, command, *read)
    assert configuration.text(gin_config.operative(config, command.function))
    return program
