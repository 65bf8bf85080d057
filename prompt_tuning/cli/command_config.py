"""The configuration of a command, from the gin files and bindings of its command line.

`defaults.gin` and the file of the command in `commands/` are always read first, and data of the
user's own needs no gin file at all.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli import gin_config, gin_files
from prompt_tuning.cli.commands import COMMANDS, Command, functions
from prompt_tuning.cli.configuration import Config, Shipped, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Key, Statements
from prompt_tuning.types import UserError

DEFAULTS = "defaults.gin"
OWN_DATA = "runs/task_file.gin"
"""Read where TASK_FILE is given and no gin file is."""
_STAND_IN = (
    f"No --gin_file is given, so this is {OWN_DATA}: a prompt of t5_mini, a tiny stand-in that "
    "knows a few hundred words. It shows that file and settings are in order; expect the score of "
    "guessing, or 0 with label words it does not know. For a real T5, add "
    "--gin_file=models/NAME.gin."
)
_TASK_FILE = Key("", "TASK_FILE", "")
_MODEL = Key("", "INITIAL_CHECKPOINT_PATH", "")
_MODEL_DIR = Key("", "MODEL_DIR", "")


def read(
    name: str,
    command: Command,
    files: Sequence[str],
    bindings: Sequence[str],
    search_paths: Sequence[str],
) -> Config:
    """Reads the configuration of a command and checks every name and type.

    Args:
        name: What the command is called.
        command: The command, whose module is imported.
        files: Gin files; none will do for a command without a model, and where TASK_FILE is among
            the bindings, which is then said.
        bindings: `NAME=VALUE` of the command line.
        search_paths: Further directories for gin files.

    Raises:
        UserError: There is no gin file to say which model, or as `gin_files.read` and
            `gin_config.check`.
    """
    own_data = any(item.partition("=")[0].strip() == str(_TASK_FILE) for item in bindings)
    chosen = files or [OWN_DATA] * own_data
    before, own = defaults(command), gin_files.read(chosen, bindings, search_paths)
    statements = Statements((*before.bindings, *own.bindings), own.imports)
    config = gin_config.check(statements, shipped())
    config = _with_model_dir(config, name, command.function)
    model = used_by(config, command.function).bindings.get(_MODEL)
    if not chosen and model is not None and model.value == REQUIRED:
        raise UserError(f"{name} needs --gin_file=FILE; see prompt-tuning {name} --help")
    if not files and own_data:
        print(_STAND_IN)
    return config


def defaults(command: Command) -> Statements:
    """Reads what the project's own files bind for a command."""
    return _read(DEFAULTS, command.defaults)


@functools.cache
def shipped() -> Shipped:
    """Returns what the project's own files bind, with the commands that read it."""
    shared = {binding.key.unscoped for binding in _read(DEFAULTS).bindings}
    readers: dict[str, tuple[str, ...]] = dict.fromkeys(shared, ())
    for name, command in functions(COMMANDS):
        for binding in _read(command.defaults).bindings:
            key = binding.key.unscoped
            if key not in shared:
                readers[key] = (*readers.get(key, ()), name)
    return readers


def _read(*files: str) -> Statements:
    """Reads files of `configs/`; one that is not there binds nothing."""
    paths = [gin_files.configs_directory() / file for file in files]
    return gin_files.read([str(path) for path in paths if path.is_file()], [], [])


def _with_model_dir(config: Config, name: str, function: str) -> Config:
    """Returns `config` with a MODEL_DIR, `runs/<file>.<command>`, if TASK_FILE is set without."""
    path = config.bindings.get(_TASK_FILE)
    directory = used_by(config, function).bindings.get(_MODEL_DIR)
    if path is None or not isinstance(path.value, str):
        return config
    if directory is None or directory.value != REQUIRED:
        return config
    value = f"runs/{Path(path.value).stem}.{name}"
    return gin_config.override(config, [gin_files.setting("MODEL_DIR", value, "TASK_FILE")])
