"""A pretrained model, open, and the settings that gin files have for it."""

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
    """A pretrained model, open, with the settings it was opened with.

    Attributes:
        opened: The model, its vocabulary, and its parameters once they are needed.
        setup: What it was opened from.
        gin_files: Gin files that its settings are from, after `defaults.gin`.
        settings: Settings by their names in gin files, which win over those.
    """

    opened: OpenModel
    setup: Setup
    gin_files: tuple[str, ...]
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Model({self.opened.name!r}, width {self.opened.width})"


def open_model(name: str, **settings: Any) -> Model:
    """Opens a pretrained model; its parameters are read when they are first needed.

    Compiled programs of the process are kept in `CACHE_DIR` from here on, as the commands do.

    Args:
        name: A file of `configs/models/` without its ending, such as `t5_mini`; or a gin file of
            your own, by a name that ends in `.gin`.
        settings: Settings of model and data by their names in gin files, such as
            `COMPUTE_DTYPE="bfloat16"`, `INITIAL_CHECKPOINT_PATH`, `TASK_FEATURE_LENGTHS` (tokens)
            or `CACHE_DIR`.

    Raises:
        UserError: There is no such model or setting, a setting is not of model and data, or what
            is stored is damaged.
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
    setup.keep_compiled_programs()
    return Model(opened=setup.open_model(), setup=setup, gin_files=chosen, settings=settings)


def configuration_of(command: str, chosen: Sequence[str], settings: Mapping[str, Any]) -> Config:
    """Returns the configuration of a command, from gin files and from settings by name."""
    importlib.import_module(COMMANDS[command].module)
    bindings = [f"{name} = {_plain(value)!r}" for name, value in settings.items()]
    return command_config.read_command_config(command, COMMANDS[command], chosen, bindings, ())


def _plain(value: Any) -> Any:
    """Returns a value as gin files write it: paths as texts, NumPy's numbers as Python's."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def check_setup(model: Model, setup: Setup) -> None:
    """Raises where settings ask for another model or other data than are open."""
    if setup != model.setup:
        differ = [key for key, value in vars(setup).items() if value != vars(model.setup)[key]]
        raise UserError(f"settings change the model's {', '.join(differ)}; give them to open_model")


def several(items: Any) -> tuple[Any, ...]:
    """Returns a list or tuple as a tuple, and anything else as a tuple of it."""
    return tuple(items) if isinstance(items, list | tuple) else (items,)


def console() -> Console:
    """Returns where progress is shown: not among what a program prints."""
    return Console(stderr=True)


def warn(text: str) -> None:
    """Warns the caller of a public function that calls what calls this."""
    warnings.warn(text, stacklevel=4)
