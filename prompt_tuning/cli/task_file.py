"""What the command line adds where TASK_FILE is given: a run file, and a directory for the run."""

from collections.abc import Sequence
from pathlib import Path

from prompt_tuning.cli import gin_config, gin_files
from prompt_tuning.cli.configuration import Config, used_by
from prompt_tuning.cli.gin_files import REQUIRED, Key

RUN_FILE = "runs/task_file.gin"
"""Read where TASK_FILE is given and no gin file is."""
STAND_IN = (
    f"No --gin_file is given, so this is {RUN_FILE}: a prompt of t5_mini, a tiny stand-in that "
    "knows a few hundred words. It shows that file and settings are in order; expect the score of "
    "guessing, or 0 with label words it does not know. For a real T5, add "
    "--gin_file=models/NAME.gin."
)
_TASK_FILE = Key("", "TASK_FILE", "")
_MODEL_DIR = Key("", "MODEL_DIR", "")


def is_given(bindings: Sequence[str]) -> bool:
    """Returns whether `NAME=VALUE` bindings of the command line set TASK_FILE."""
    return any(binding.partition("=")[0].strip() == str(_TASK_FILE) for binding in bindings)


def with_model_dir(config: Config, command: str) -> Config:
    """Returns `config` with a directory for the run, if TASK_FILE is set and MODEL_DIR is not.

    It is `runs/<file>.<command>`, below the working directory.
    """
    path = config.bindings.get(_TASK_FILE)
    directory = used_by(config, command).bindings.get(_MODEL_DIR)
    if path is None or not isinstance(path.value, str):
        return config
    if directory is None or directory.value != REQUIRED:
        return config
    value = f"runs/{Path(path.value).stem}.{command}"
    return gin_config.override(config, [gin_files.setting("MODEL_DIR", value, "TASK_FILE")])
