"""Libraries made by hand."""

from pathlib import Path
from typing import Any

import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.library import Library

BACKBONE = {"backbone": "toy", "backbone_digest": "d" * 64}


def prompt(name: str, array: np.ndarray, **changes: Any) -> files.Prompt:
    """Returns a prompt `[P, H]`, of the task that its name begins with."""
    settings = {
        "name": name,
        "task": name.partition(".")[0],
        **BACKBONE,
        "step": 8,
        "seed": 0,
        "init": "sampled_vocab",
        "metrics": {},
        "created": "2026-01-01",
    }
    return files.describe(np.asarray(array, np.float32), **{**settings, **changes})


def library(folder: Path, *prompts: files.Prompt) -> Library:
    """Returns a library of prompts."""
    made = Library.create(folder)
    made.add(prompts)
    return made
