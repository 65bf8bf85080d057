"""The console script `prompt-tuning`: flags, help, and errors in one line."""

import argparse
import contextlib
import errno
import functools
import gc
import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import prompt_tuning
from prompt_tuning.cli.commands import COMMANDS, PLAIN_COMMANDS, Command

if TYPE_CHECKING:
    from prompt_tuning.cli.configuration import Config
    from prompt_tuning.cli.gin_files import Binding


def main(argv: Sequence[str] | None = None, commands: Mapping[str, Command] = COMMANDS) -> int:
    """Runs one command and returns its exit status.

    The status is 2 for bad input or a full or unwritable disk, which is told in one line, and 130
    when the user interrupts. Any other exception is a bug, and keeps its traceback.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.formatwarning = _format_warning
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            print(_overview({**commands, **PLAIN_COMMANDS}))
        elif words[0] == "--version":
            print(f"prompt-tuning {prompt_tuning.__version__}")
        elif words[0] in PLAIN_COMMANDS:
            command = PLAIN_COMMANDS[words[0]]
            getattr(importlib.import_module(command.module), command.function)(words[1:])
        else:
            _run(words, commands)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, such as `head`, has gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        print(f"prompt-tuning: error: {message}", file=sys.stderr)
        return 2
    return 0


def _run(words: Sequence[str], commands: Mapping[str, Command]) -> None:
    with _not_collecting():
        # Imported here because JAX, which comes with it, would make --help wait.
        from rich.console import Console

        from prompt_tuning.cli import command_config, configuration, gin_config, sweep
        from prompt_tuning.cli.flags import of_gin_command
        from prompt_tuning.types import UserError, nearest

    name, *rest = words
    if name not in commands:
        known = [*commands, *PLAIN_COMMANDS]
        raise UserError(
            f"no command {name!r}{nearest(name, known)}; the commands are {', '.join(known)}"
        )
    flags, bindings = of_gin_command(name, rest)
    command = commands[name]
    if flags.help:
        print(_command_help(name, command))
        return
    if flags.library is not None and command.with_library:
        command = command.with_library
    with _not_collecting():
        importlib.import_module(command.module)
    search_paths = [path for item in flags.gin_search_paths for path in item.split(",") if path]
    config = command_config.read(name, command, flags.gin_file, bindings, search_paths)
    taken = inspect.signature(gin_config.configurable(command.function)).parameters
    for flag in ("tfds_data_dir", "library"):
        if getattr(flags, flag) is not None and flag not in taken:
            raise UserError(f"--{flag}: it has no effect on {name!r}; leave it out")
    call = functools.partial(_call, command.function, flags)
    swept = sweep.points(config, command.function)
    if swept:
        model_dir = None if flags.dry_run else sweep.directory(config)
        sweep.run(swept, call, model_dir, Console())
        return
    used = gin_config.operative(config, command.function)
    if flags.dry_run:
        print(configuration.text(used))
    call(used)


@contextlib.contextmanager
def _not_collecting() -> Iterator[None]:
    """Keeps Python from looking for garbage in a block of imports, which make next to none.

    Looking would be a fifth of the time they take. What they made stays, and is not looked at
    later either: each look would take a fifth of a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _call(name: str, flags: argparse.Namespace, used: "Config") -> None:
    """Calls the function of a command with what it uses and the flags that it takes."""
    from prompt_tuning.cli import configuration, gin_config

    function = gin_config.configurable(name)
    taken = inspect.signature(function).parameters
    given = {
        "dry_run": flags.dry_run,
        "tfds_data_dir": flags.tfds_data_dir,
        "library": flags.library,
        "operative_config": configuration.text(used),
    }
    arguments = gin_config.arguments(used, name)
    arguments |= {parameter: value for parameter, value in given.items() if parameter in taken}
    if "dry_run" in taken or not flags.dry_run:
        function(**arguments)


_ROOT = os.path.dirname(prompt_tuning.__file__) + os.sep
_python_format = warnings.formatwarning


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Returns a warning of ours as one line; another keeps its place in the code."""
    if filename.startswith(_ROOT):
        return f"prompt-tuning: warning: {message}\n"
    return _python_format(message, category, filename, lineno, line)


def _one_line(error: BaseException) -> str | None:
    """Returns the message of an error that is the user's to mend, None for a bug."""
    from prompt_tuning.types import UserError

    if isinstance(error, UserError):
        # gin appends lines about the call; a UserError itself is one line.
        return " ".join(str(error).split("\n  In call to configurable")[0].split())
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _ENVIRONMENT_ERRORS:
            where = f"{seen.filename}: " if seen.filename else ""
            return f"{where}{seen.strerror}; {_ENVIRONMENT_ERRORS[seen.errno]}"
        if "No space left on device" in str(seen):  # TensorStore raises ValueError for it.
            return f"No space left on device; {_ENVIRONMENT_ERRORS[errno.ENOSPC]}"
        seen = seen.__cause__
    return None


_OTHER_PLACE = "choose another MODEL_DIR or CACHE_DIR, or change its permissions"
_ENVIRONMENT_ERRORS = {
    errno.ENOSPC: "free some space, then run the same command again to resume",
    errno.EDQUOT: "free some space, then run the same command again to resume",
    errno.EACCES: _OTHER_PLACE,
    errno.EPERM: _OTHER_PLACE,
    errno.EROFS: _OTHER_PLACE,
    errno.ENOTDIR: "a file is in the way; choose another directory",
    errno.EISDIR: "a directory is in the way; choose another name",
    errno.EEXIST: "a file is in the way; choose another directory",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _overview(commands: Mapping[str, Command]) -> str:
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


def _command_help(name: str, command: Command) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
