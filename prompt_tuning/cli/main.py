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

    The status is 2 for bad input or a full or unwritable disk, which is told in one line, and 130
    when the user interrupts. Any other exception is a bug, and keeps its traceback.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.formatwarning = _format_warning
    try:
        if not words or words[0] in ("-h", "--help", "help"):
            from prompt_tuning.cli import help_text

            print(help_text.overview({**commands, **PLAIN_COMMANDS}))
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


def _prepare(words: Sequence[str], commands: Mapping[str, Command]) -> Call | None:
    """Returns a command with its arguments, or None where there is nothing to run."""
    with _not_collecting():
        # Imported here because JAX, which comes with it, would make --help wait.
        from prompt_tuning.cli import command_config, configuration, gin_config, registry
        from prompt_tuning.cli.flags import RunFlags, of_gin_command
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
        from prompt_tuning.cli import help_text

        print(help_text.of_command(name, command))
        return None
    if flags.library is not None and command.with_library:
        command = command.with_library
    with _not_collecting():
        importlib.import_module(command.module)
    search_paths = [path for item in flags.gin_search_paths for path in item.split(",") if path]
    config = command_config.read(name, command, flags.gin_file, bindings, search_paths)
    taken = inspect.signature(registry.configurable(command.function)).parameters
    taken = {*taken, *(RunFlags._fields if "flags" in taken else ())}
    for flag in ("tfds_data_dir", "library"):
        if getattr(flags, flag) is not None and flag not in taken:
            raise UserError(f"--{flag}: it has no effect on {name!r}; leave it out")
    bind = functools.partial(_bind, command.function, flags)
    if gin_config.sweep_of(config) is not None:
        swept = _sweep(config, command.function, flags, bind)
        if swept is not None:
            return swept
    used = gin_config.operative(config, command.function)
    if flags.dry_run:
        print(configuration.text(used))
    return bind(used)


def _sweep(
    config: "Config", function: str, flags: argparse.Namespace, bind: Callable[["Config"], Call]
) -> Call | None:
    """Returns what runs the points of a sweep; None where the command has none."""
    from rich.console import Console

    from prompt_tuning.cli import sweep

    points = sweep.points(config, function)
    if not points:
        return None
    model_dir = None if flags.dry_run else sweep.directory(config)
    return functools.partial(sweep.run, points, bind, model_dir, Console())


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


def _bind(name: str, flags: argparse.Namespace, used: "Config") -> Call:
    """Returns the function of a command with what it uses and the flags that it takes."""
    from prompt_tuning.cli import configuration, gin_config, registry
    from prompt_tuning.cli.flags import RunFlags

    function = registry.configurable(name)
    taken = inspect.signature(function).parameters
    of_run = RunFlags(flags.dry_run, flags.tfds_data_dir, configuration.text(used))
    values = {**of_run._asdict(), "flags": of_run, "library": flags.library}
    arguments = gin_config.arguments(used, name)
    arguments |= {parameter: value for parameter, value in values.items() if parameter in taken}
    if flags.dry_run and not {"flags", "dry_run"} & {*taken}:
        return lambda: None  # Its configuration is all that a dry run shows.
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


if __name__ == "__main__":
    sys.exit(main())
