"""The invented rows of every dataset."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Returns the folder of `<dataset>.json`."""
    return Path(__file__).parent / "fixtures"
