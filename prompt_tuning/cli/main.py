"""The console script `prompt-tuning`: dispatch to commands, help, and one-line errors."""

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
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import prompt_tuning
from prompt_tuning.cli.commands import COMMANDS, PLAIN_COMMANDS, Command

if TYPE_CHECKING:
    from prompt_tuning.cli.configuration import Config


Call = Callable[[], object]
"""A command with all its arguments."""


def main(argv: Sequence[str] | None = None, commands: Mapping[str, Command] = COMMANDS) -> int:
    """Runs one command and returns its exit status.

    Exits with 2 on bad input or a full or unwritable disk, after a one-line message, and with 130
    when the user interrupts. Any other exception is a bug and keeps its traceback.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.formatwarning = _format_warning
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            from prompt_tuning.cli.help_text import overview_help

            print(overview_help({**commands, **PLAIN_COMMANDS}))
        elif words[0] == "--version":
            print(f"prompt-tuning {prompt_tuning.__version__}")
        elif words[0] in PLAIN_COMMANDS:
            command = PLAIN_COMMANDS[words[0]]
            getattr(importlib.import_module(command.module), command.function)(words[1:])
        else:
            call = _prepare(words, commands)
            if call is not None:
                call()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output, such as `head`, is gone; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        print(f"prompt-tuning: error: {message}", file=sys.stderr)
        return 2
    return 0


def _prepare(words: Sequence[str], commands: Mapping[str, Command]) -> Call | None:
    """Returns a command with its arguments, or None if there is nothing to run."""
    with _no_garbage_collection():
        # Imported here because `--help` needs none of it.
        from prompt_tuning.cli.command_config import read_command_config
        from prompt_tuning.cli.configuration import config_text
        from prompt_tuning.cli.flags import RunFlags, parse_gin_flags
        from prompt_tuning.cli.gin_config import SWEEP, operative_config
        from prompt_tuning.cli.registry import find_configurable
        from prompt_tuning.types import UserError, nearest

    name, *rest = words
    if name not in commands:
        known = [*commands, *PLAIN_COMMANDS]
        raise UserError(
            f"no command {name!r}{nearest(name, known)}; the commands are {', '.join(known)}"
        )
    flags, bindings = parse_gin_flags(name, rest)
    command = commands[name]
    if flags.help:
        from prompt_tuning.cli.help_text import command_help

        print(command_help(name, command))
        return None
    if flags.library is not None and command.with_library:
        command = command.with_library
    with _no_garbage_collection():
        importlib.import_module(command.module)
    search_paths = [path for item in flags.gin_search_paths for path in item.split(",") if path]
    config = read_command_config(name, command, flags.gin_file, bindings, search_paths)
    taken = inspect.signature(find_configurable(command.function)).parameters
    taken = {*taken, *(RunFlags._fields if "flags" in taken else ())}
    for flag in ("tfds_data_dir", "library"):
        if getattr(flags, flag) is not None and flag not in taken:
            raise UserError(f"--{flag}: it has no effect on {name!r}; leave it out")
    bind = functools.partial(_bind, command.function, flags)
    if config.bindings[SWEEP].value is not None:
        from rich.console import Console

        from prompt_tuning.cli import sweep

        points = sweep.sweep_points(config, command.function)
        if points:
            model_dir = None if flags.dry_run else sweep.sweep_directory(config)
            console = Console(highlight=False)
            return functools.partial(sweep.run_points, points, bind, model_dir, console)
    used = operative_config(config, command.function)
    if flags.dry_run:
        print(config_text(used))
    return bind(used)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Disables the garbage collector during imports, which saves a fifth of their time.

    Imported objects stay, so they are also excluded from later collections, each of which would
    take a fifth of a second.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _bind(name: str, flags: argparse.Namespace, used: "Config") -> Call:
    """Returns the command's function with its arguments from gin and the command line."""
    from prompt_tuning.cli.configuration import config_text
    from prompt_tuning.cli.flags import RunFlags
    from prompt_tuning.cli.gin_config import build_arguments
    from prompt_tuning.cli.registry import find_configurable

    function = find_configurable(name)
    taken = inspect.signature(function).parameters
    run_flags = RunFlags(flags.dry_run, flags.tfds_data_dir, config_text(used))
    values = {**run_flags._asdict(), "flags": run_flags, "library": flags.library}
    arguments = build_arguments(used, name)
    arguments |= {parameter: value for parameter, value in values.items() if parameter in taken}
    if flags.dry_run and not {"flags", "dry_run"} & {*taken}:
        return lambda: None  # The configuration is printed, and nothing else is known beforehand.
    return functools.partial(function, **arguments)


_ROOT = os.path.dirname(prompt_tuning.__file__) + os.sep
_python_format = warnings.formatwarning


def _format_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """Formats this package's warnings as one line, and others as Python does."""
    if filename.startswith(_ROOT):
        return f"prompt-tuning: warning: {message}\n"
    return _python_format(message, category, filename, lineno, line)


def _one_line(error: BaseException) -> str | None:
    """Returns the message of an error that the user can fix, None for a bug."""
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


_FREE_SPACE = "free some space, then run the same command again to resume"
_OTHER_PLACE = "choose another MODEL_DIR or CACHE_DIR, or change its permissions"
_ENVIRONMENT_ERRORS = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EACCES: _OTHER_PLACE,
    errno.EPERM: _OTHER_PLACE,
    errno.EROFS: _OTHER_PLACE,
    errno.ENOTDIR: "a file is in the way; choose another directory",
    errno.EISDIR: "a directory is in the way; choose another name",
    errno.EEXIST: "a file is in the way; choose another directory",
    errno.ENAMETOOLONG: "choose a shorter name",
}


if __name__ == "__main__":
    sys.exit(main())
