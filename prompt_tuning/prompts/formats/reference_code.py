"""The layout of the reference code of Lester et al. 2021.

A run keeps its prompt apart from the model, at each checkpoint:
`numpy_checkpoints/checkpoint_<step>/encoder.prompt.prompt.prompt`, which is in `.npy` format.
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
_CHECKPOINT = re.compile(r"checkpoint_(\d+)")  # Others are unfinished, or backups.


def holds(path: Path) -> bool:
    """Returns whether a path is a run, its `numpy_checkpoints`, a checkpoint in it, or its file."""
    if path.is_dir():
        return (path / FOLDER).is_dir() or (path / FILE).is_file() or bool(_checkpoints(path))
    return path.name == FILE and path.is_file()


def read(path: Path) -> Prompt:
    """Reads the prompt `[P, H]` of a checkpoint, and of a run the newest one.

    Its `step` counts as T5X does, from the pretrained model's own step. It stands in front of the
    inputs, as prompts of that code's configs do.

    Args:
        path: The run's directory, its `numpy_checkpoints`, a checkpoint, or the file.

    Raises:
        UserError: There is no checkpoint with a prompt, or the file cannot be read.
    """
    file = _file(path).absolute()
    prompt = files.load(file)
    steps = _CHECKPOINT.fullmatch(file.parent.name)
    run = file.parents[2] if steps and file.parents[1].name == FOLDER else file.parent
    metadata = {"name": run.name, "placement": PREFIX}
    if steps:
        metadata["step"] = str(int(steps[1]))
    return Prompt(prompt.array, metadata)


def write(path: Path, prompt: Prompt) -> None:
    """Writes a run's directory with one checkpoint of the prompt, whole or not at all.

    The checkpoint is of the `step` of the prompt's metadata, and 0 without one.

    Raises:
        UserError: The prompt is not a finite `[P, H]` array, or the directory cannot be written.
    """
    array = files.checked(prompt.array, path)
    step = prompt.metadata.get("step", "0")
    if not re.fullmatch(r"\d+", step):
        raise UserError(f"prompt {path}: its step is {step!r}, which is no number of steps")
    try:
        with write_directory(path) as folder:
            file = folder / FOLDER / f"checkpoint_{step}" / FILE
            file.parent.mkdir(parents=True)
            with file.open("xb") as opened:
                np.save(opened, array, allow_pickle=False)
    except OSError as error:
        raise UserError(f"prompt {path}: cannot write it ({error.strerror})") from error


def _file(path: Path) -> Path:
    """Returns the file that a path of `holds` means."""
    if not path.is_dir() or (path / FILE).is_file():
        return path / FILE if path.is_dir() else path
    folder = path / FOLDER if (path / FOLDER).is_dir() else path
    checkpoints = _checkpoints(folder)
    if not checkpoints:
        raise UserError(
            f"prompt {folder}: it has no checkpoint_<step>/{FILE}; give a run of the reference "
            "code that saved one"
        )
    return checkpoints[max(checkpoints)] / FILE


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Returns the checkpoints with a prompt by their steps."""
    found = ((_CHECKPOINT.fullmatch(each.name), each) for each in folder.iterdir())
    return {int(steps[1]): each for steps, each in found if steps and (each / FILE).is_file()}
