"""What `--help` prints; gin is imported only where settings are listed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import prompt_tuning
from prompt_tuning.cli.commands import Command

if TYPE_CHECKING:
    from prompt_tuning.cli.gin_files import Binding


def overview(commands: Mapping[str, Command]) -> str:
    """Returns what `prompt-tuning --help` prints: every command in a line."""
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


def of_command(name: str, command: Command) -> str:
    """Returns what `prompt-tuning COMMAND --help` prints: settings with defaults, and flags."""
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

The settings are those above but for sources and targets, and:
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
Every other parameter in these files can be set in the same way, by its full name.
{section}
flags:
  --gin_file=FILE             a gin file, read after defaults.gin; repeatable, later ones win;
                              looked up in the working directory, the search paths and
                              {directory}; may be left out with TASK_FILE
  --gin.NAME=VALUE            sets a macro or a parameter, over all files
  --gin_search_paths=A,B      further directories for gin files
  --tfds_data_dir=DIRECTORY   where TensorFlow Datasets are kept{flag}
  --dry_run                   prints the configuration, and what training needs, and stops
  --help                      this text"""


def _settings(command: Command) -> dict[str, str]:
    """Returns the macros that a command uses, each with its default, and what they are."""
    from prompt_tuning.cli import command_config, configuration

    bindings = {binding.key: binding for binding in command_config.defaults(command).bindings}
    defaults = configuration.Config(bindings, (), {})
    used = configuration.used_by(defaults, command.function).bindings.values()
    return {_setting(binding): binding.comment for binding in used if binding.key.is_macro}


def _lines(settings: Mapping[str, str]) -> str:
    width = min(40, max(map(len, settings), default=0))
    rows = [f"  {setting:<{width}}  {comment}".rstrip() for setting, comment in settings.items()]
    return "\n".join(rows)


def _setting(binding: "Binding") -> str:
    value = repr(binding.value).replace("%gin.REQUIRED", "...")
    return f"{binding.key}={value}"
