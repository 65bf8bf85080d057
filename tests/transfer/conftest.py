"""Prompts to put into libraries."""

from collections.abc import Callable

import numpy as np
import pytest

from prompt_tuning.prompts import files


@pytest.fixture
def make() -> Callable[..., files.Prompt]:
    """Returns a function that makes a prompt `[2, H]` with all metadata."""

    def prompt(name: str, seed: int = 0, *, width: int = 4, **changes) -> files.Prompt:
        array = np.random.default_rng(seed).normal(size=(2, width)).astype(np.float32)
        described = {
            "task": "mini_sst2",
            "backbone": "t5_mini",
            "backbone_digest": "ab" * 32,
            "step": 400,
            "seed": seed,
            "init": "class_labels",
            "metrics": {"validation": 90.0 + seed},
            "created": "2026-01-01T00:00:00Z",
        }
        return files.describe(array, name=name, **(described | changes))

    return prompt
