"""Settings of every test: virtual devices, strict types and ranks, and the shared data folder."""

import os
from pathlib import Path

import jax
import pytest

# The default makes the cache directory's path part of a program's key, so that tests which link to
# the session's compiled programs would not find them. Processes that tests start inherit this.
os.environ["JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"] = "none"
jax.config.update("jax_persistent_cache_enable_xla_caches", "none")

# Before any test makes an array: several CPU devices, so that sharding is tested everywhere.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session", autouse=True)
def _compiled_programs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps compiled programs for the session, as the commands do: tests compile the same ones."""
    folder = tmp_path_factory.getbasetemp().parent / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Returns the folder of reference data beside the project; skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the reference data, which is not at {folder}")
    return folder
