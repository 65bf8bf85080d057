"""Reads the configuration of a command: the project's defaults, then the command line.

`defaults.gin` and the command's own file in `commands/` always come first. With TASK_FILE, a
command needs no gin file.
"""

from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli import gin_config
from prompt_tuning.cli.commands import Command
from prompt_tuning.cli.configuration import Config, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Key, make_binding, read_gin_files
from prompt_tuning.cli.registry import default_files
from prompt_tuning.types import UserError

USER_TASK = "runs/task_file.gin"
"""Read if TASK_FILE is set and no gin file is given."""
_STAND_IN = (
    f"No --gin_file is given, so this is {USER_TASK}: a prompt of t5_mini, a tiny stand-in that "
    "knows a few hundred words. It shows that file and settings are in order; expect the score of "
    "guessing, or 0 with label words it does not know. For a real T5, add "
    "--gin_file=models/NAME.gin."
)
_TASK_FILE = Key("", "TASK_FILE", "")
_MODEL = Key("", "INITIAL_CHECKPOINT_PATH", "")
_MODEL_DIR = Key("", "MODEL_DIR", "")


def read_command_config(
    name: str,
    command: Command,
    files: Sequence[str],
    bindings: Sequence[str],
    search_paths: Sequence[str] = (),
) -> Config:
    """Reads the configuration of a command and checks every name and type.

    Prints a remark if TASK_FILE is set and `files` is empty.

    Args:
        name: The command's name.
        command: The command; its module must be imported.
        files: Gin files.
        bindings: `NAME=VALUE` of the command line.
        search_paths: Further directories for gin files.

    Raises:
        UserError: No gin file says which model to use, or as `read_gin_files` and `build_config`.
    """
    user_task = any(item.partition("=")[0].strip() == str(_TASK_FILE) for item in bindings)
    chosen = files or [USER_TASK] * user_task
    statements = read_gin_files([*default_files(command), *chosen], bindings, search_paths)
    config = gin_config.build_config(statements)
    config = _with_model_dir(config, name, command.function)
    model = used_by(config, command.function).bindings.get(_MODEL)
    if not chosen and model is not None and model.value == REQUIRED:
        raise UserError(f"{name} needs --gin_file=FILE; see prompt-tuning {name} --help")
    if not files and user_task:
        print(_STAND_IN)
    return config


def _with_model_dir(config: Config, name: str, function: str) -> Config:
    """Sets MODEL_DIR to `runs/<file>.<command>` if TASK_FILE is set and MODEL_DIR is not."""
    path = config.bindings.get(_TASK_FILE)
    directory = used_by(config, function).bindings.get(_MODEL_DIR)
    if path is None or not isinstance(path.value, str):
        return config
    if directory is None or directory.value != REQUIRED:
        return config
    value = f"runs/{Path(path.value).stem}.{name}"
    return gin_config.override_config(config, [make_binding("MODEL_DIR", value, "TASK_FILE")])
