"""Settings of every test: virtual devices, strict types and ranks, and the shared data folder."""

from pathlib import Path

import jax
import pytest

# Before any test makes an array: several CPU devices, so that sharding is tested everywhere.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Returns the folder of reference data beside the project; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data, which is not at {folder}")
    return folder
