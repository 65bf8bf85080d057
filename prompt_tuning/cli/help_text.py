"""The texts of `--help`; gin is imported only to list settings."""

from collections.abc import Mapping

import prompt_tuning
from prompt_tuning.cli.commands import Command


def overview_help(commands: Mapping[str, Command]) -> str:
    """Returns the text of `prompt-tuning --help`, with a line for each command."""
    width = max(map(len, commands)) + 2
    table = "\n".join(f"  {name:<{width}}{command.summary}" for name, command in commands.items())
    return f"""\
{prompt_tuning.__doc__}

usage: prompt-tuning COMMAND --gin_file=FILE [--gin.NAME=VALUE ...]
       prompt-tuning train --gin.TASK_FILE=\"'reviews.csv'\"     (data of your own)
       prompt-tuning spot --library=DIRECTORY --gin.TASK_FILE=\"'reviews.csv'\"
       prompt-tuning tasks [WORD ...]
       prompt-tuning library SUBCOMMAND DIRECTORY [...]

commands:
{table}

`prompt-tuning COMMAND --help` shows an example, the settings with their defaults, and the flags.
Start with: prompt-tuning spot --gin_file=runs/spot_mini.gin --gin.MODEL_DIR=\"'/tmp/spot'\""""


def command_help(name: str, command: Command) -> str:
    """Returns the text of `prompt-tuning COMMAND --help`: settings with defaults, and flags."""
    from prompt_tuning.cli.gin_files import configs_directory

    directory = configs_directory()
    settings = _settings(command)
    flag = section = ""
    if library := command.with_library:
        flag = "\n  --library=DIRECTORY         a library of prompts for a new task to start from"
        own = {key: value for key, value in _settings(library).items() if key not in settings}
        section = f"""
With --library=DIRECTORY it {library.summary}:
  {library.example}

The settings are those above except sources and targets, and:
{_lines(own)}
"""
    return f"""\
prompt-tuning {name}: {command.summary}

example:
  {command.example}

settings, with the defaults of {directory / "defaults.gin"}
and {directory / command.defaults}
(... must be set; strings need quotes that the shell leaves alone: --gin.NAME=\"'text'\"):
{_lines(settings)}
Every other parameter in these files can be set the same way, by its full name.
{section}
flags:
  --gin_file=FILE             a gin file, read after defaults.gin; repeatable, later ones win;
                              looked up in the working directory, the search paths and
                              {directory}; not needed with TASK_FILE
  --gin.NAME=VALUE            sets a macro or a parameter; wins over all files
  --gin_search_paths=A,B      further directories for gin files
  --tfds_data_dir=DIRECTORY   directory of TensorFlow Datasets{flag}
  --dry_run                   prints the configuration and what training needs, and stops
  --help                      prints this text"""


def _settings(command: Command) -> dict[str, str]:
    """Returns `NAME=DEFAULT` of the macros that a command uses, each with its comment."""
    from prompt_tuning.cli.configuration import Config, used_by
    from prompt_tuning.cli.gin_files import read_gin_files
    from prompt_tuning.cli.registry import default_files

    statements = read_gin_files(default_files(command))
    bindings = {binding.key: binding for binding in statements.bindings}
    used = used_by(Config(bindings, ()), command.function).bindings.values()
    return {
        f"{binding.key}={binding.value!r}".replace("%gin.REQUIRED", "..."): binding.comment
        for binding in used
        if binding.key.is_macro
    }


def _lines(settings: Mapping[str, str]) -> str:
    width = min(40, max(map(len, settings), default=0))
    rows = [f"  {setting:<{width}}  {comment}".rstrip() for setting, comment in settings.items()]
    return "\n".join(rows)
