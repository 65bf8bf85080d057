"""Opens pretrained models with their settings from gin files."""

import dataclasses
import importlib
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from prompt_tuning.cli import command_config, gin_config, gin_files
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.cli.configuration import Config
from prompt_tuning.training.open_model import OpenModel
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError, nearest


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Model:
    """An open pretrained model and its settings.

    Attributes:
        opened: The model, its vocabulary, and its parameters, which are loaded when needed.
        setup: The settings of model and data.
        gin_files: The gin files of its settings, after `defaults.gin`.
        settings: Settings by gin name, which win over the files.
    """

    opened: OpenModel
    setup: Setup
    gin_files: tuple[str, ...]
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Model({self.opened.name!r}, width {self.opened.width})"


def open_model(name: str, **settings: Any) -> Model:
    """Opens a pretrained model; its parameters are loaded when they are first needed.

    Also makes this process keep compiled programs in `CACHE_DIR`, as the commands do.

    Args:
        name: The stem of a file in `configs/models/`, such as `t5_mini`; or the path of your own
            gin file, which ends in `.gin`.
        settings: Settings of model and data by gin name, such as `COMPUTE_DTYPE="bfloat16"`,
            `INITIAL_CHECKPOINT_PATH`, `TASK_FEATURE_LENGTHS` (tokens) or `CACHE_DIR`.

    Raises:
        UserError: There is no such model or setting, a setting is not one of model and data, or the
            stored model is damaged.
    """
    known = [path.stem for path in (gin_files.configs_directory() / "models").glob("*.gin")]
    if not name.endswith(".gin") and name not in known:
        raise UserError(
            f"no model {name!r}{nearest(name, known)}; the models are {', '.join(sorted(known))}"
        )
    chosen = (name if name.endswith(".gin") else f"models/{name}.gin",)
    setup = Setup(
        **gin_config.build_arguments_alone(configuration_of("train", chosen, settings), "Setup")
    )
    setup.cache_compiled_programs()
    return Model(opened=setup.open_model(), setup=setup, gin_files=chosen, settings=settings)


def configuration_of(command: str, chosen: Sequence[str], settings: Mapping[str, Any]) -> Config:
    """Reads the configuration of a command from gin files and settings by gin name."""
    importlib.import_module(COMMANDS[command].module)
    bindings = [f"{name} = {_plain(value)!r}" for name, value in settings.items()]
    return command_config.read_command_config(command, COMMANDS[command], chosen, bindings, ())


def _plain(value: Any) -> Any:
    """Converts paths to strings and NumPy values to Python's, as gin files write them."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def check_setup(model: Model, setup: Setup) -> None:
    """Checks that settings leave the open model and its data settings unchanged.

    Raises:
        UserError: They change them.
    """
    if setup != model.setup:
        differ = [key for key, value in vars(setup).items() if value != vars(model.setup)[key]]
        raise UserError(f"settings change the model's {', '.join(differ)}; give them to open_model")


def several(items: Any) -> tuple[Any, ...]:
    """Returns a list or tuple as a tuple, and anything else as a tuple of one."""
    return tuple(items) if isinstance(items, list | tuple) else (items,)


def console() -> Console:
    """Returns the console for progress: standard error, so that a program's output stays clean."""
    return Console(stderr=True)


def warn(text: str) -> None:
    """Warns the caller of the public function, two calls above the caller of this one."""
    warnings.warn(text, stacklevel=4)
