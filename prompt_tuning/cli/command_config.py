"""The configuration of a command, from the gin files and bindings of its command line.

`defaults.gin` is always read first, and data of the user's own needs no gin file at all.
"""

from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli import gin_config, gin_files
from prompt_tuning.cli.configuration import Config, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Key
from prompt_tuning.types import UserError

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
    function: str,
    files: Sequence[str],
    bindings: Sequence[str],
    search_paths: Sequence[str],
) -> Config:
    """Reads the configuration of a command and checks every name and type.

    Args:
        name: The command.
        function: The function of the command, as gin knows it.
        files: Gin files; none will do for a command without a model, and where TASK_FILE is among
            the bindings, which is then said.
        bindings: `NAME=VALUE` of the command line.
        search_paths: Further directories for gin files.

    Raises:
        UserError: There is no gin file to say which model, or as `gin_config.parse`.
    """
    own_data = any(each.partition("=")[0].strip() == str(_TASK_FILE) for each in bindings)
    chosen = files or [OWN_DATA] * own_data
    statements = gin_files.read_on_defaults(chosen, bindings, search_paths)
    config = _with_model_dir(gin_config.check(statements), name, function)
    model = used_by(config, function).bindings.get(_MODEL)
    if not chosen and model is not None and model.value == REQUIRED:
        raise UserError(f"{name} needs --gin_file=FILE; see prompt-tuning {name} --help")
    if not files and own_data:
        print(_STAND_IN)
    return config


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
