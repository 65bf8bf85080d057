"""The run directories of the reference code of Lester et al. 2021.

At each checkpoint a run saves its prompt separately from the model, in `.npy` format:
`numpy_checkpoints/checkpoint_<step>/encoder.prompt.prompt.prompt`.
"""

import re
from pathlib import Path

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import PREFIX, Prompt
from prompt_tuning.storage import write_directory
from prompt_tuning.types import UserError

FILE = "encoder.prompt.prompt.prompt"
FOLDER = "numpy_checkpoints"
_CHECKPOINT = re.compile(r"checkpoint_(\d+)")  # Other names are unfinished, or backups.


def is_reference_code(path: Path) -> bool:
    """Returns whether a path is a run, its `numpy_checkpoints`, a checkpoint, or a prompt file."""
    if path.is_dir():
        return (path / FOLDER).is_dir() or (path / FILE).is_file() or bool(_checkpoints(path))
    return path.name == FILE and path.is_file()


def read_reference_code(path: Path) -> Prompt:
    """Reads the prompt `[P, H]` of a checkpoint, or of a run's newest checkpoint.

    Its `step` includes the pretrained model's steps, as in T5X. Its placement is the prefix, as in
    that code's configs.

    Args:
        path: The run's directory, its `numpy_checkpoints`, a checkpoint, or the prompt file.

    Raises:
        UserError: There is no checkpoint with a prompt, or the file cannot be read.
    """
    file = _prompt_file(path).absolute()
    prompt = files.load(file)
    steps = _CHECKPOINT.fullmatch(file.parent.name)
    run = file.parents[2] if steps and file.parents[1].name == FOLDER else file.parent
    metadata = {"name": run.name, "placement": PREFIX}
    if steps:
        metadata["step"] = str(int(steps[1]))
    return Prompt(prompt.array, metadata)


def write_reference_code(path: Path, prompt: Prompt) -> None:
    """Writes a run's directory with one checkpoint of the prompt, whole or not at all.

    The checkpoint's step is the `step` of the prompt's metadata, or 0.

    Raises:
        UserError: The prompt is not a finite `[P, H]` array, or the directory cannot be written.
    """
    array = files.checked(prompt.array, path)
    step = prompt.metadata.get("step", "0")
    if not re.fullmatch(r"\d+", step):
        raise UserError(f"prompt {path}: its step is {step!r}, which is not a number of steps")
    try:
        with write_directory(path) as folder:
            file = folder / FOLDER / f"checkpoint_{step}" / FILE
            file.parent.mkdir(parents=True)
            with file.open("xb") as opened:
                np.save(opened, array, allow_pickle=False)
    except OSError as error:
        raise UserError(f"prompt {path}: cannot write it ({error.strerror})") from error


def _prompt_file(path: Path) -> Path:
    """Returns the prompt file at a path that `is_reference_code` accepts."""
    if not path.is_dir():
        return path
    if (path / FILE).is_file():
        return path / FILE
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    checkpoints = _checkpoints(folder)
    if not checkpoints:
        raise UserError(
            f"prompt {folder}: it has no checkpoint_<step>/{FILE}; give a run of the reference "
            "code that saved one"
        )
    return checkpoints[max(checkpoints)] / FILE


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Returns the checkpoints that have a prompt, by step."""
    found = ((_CHECKPOINT.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(steps[1]): path for steps, path in found if steps and (path / FILE).is_file()}
