"""Commands as people run them: in processes of their own, or here where that shows the same."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from prompt_tuning.cli.main import main
from prompt_tuning.mini.examples import draw_examples
from prompt_tuning.prompts import files

TASKS = ("mini_sst2", "mini_cr", "mini_yelp")
TINY = {
    "TASK_FEATURE_LENGTHS": {"inputs": 64, "targets": 16},
    "PROMPT_LENGTH": 10,
    "BATCH_SIZE": 4,
    "CHECKPOINT_PERIOD": 7,
    "TuneConfig.log_period": 1,
    "Setup.shape_count": 1,
}
_RUN = """
import json, sys
from prompt_tuning.cli.main import main
status = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(sorted(sys.modules), file)
sys.exit(status)
"""


def flags(**bindings: Any) -> list[str]:
    """Returns `--gin.NAME=VALUE` for every binding; `__` stands for a dot."""
    return [f"--gin.{name.replace('__', '.')}={value!r}" for name, value in bindings.items()]


def tiny(cache_dir: Path, model_dir: Path, **bindings: Any) -> list[str]:
    """Returns flags of a run that takes seconds."""
    return flags(CACHE_DIR=str(cache_dir), MODEL_DIR=str(model_dir), **TINY, **bindings)


def launch(*words: str) -> subprocess.Popen:
    """Starts a command in a process of its own, which ctrl-C reaches as at a terminal."""
    # A test run in the background ignores SIGINT, and what it starts would do the same.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _start(words)
    finally:
        signal.signal(signal.SIGINT, before)


def _start(words: Sequence[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "prompt_tuning.cli.main", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def run_listing_modules(listing: Path, *words: str) -> str:
    """Runs a command in a fresh interpreter, which lists what it imported; returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(listing), *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def prompts(model_dir: Path) -> dict[str, bytes]:
    """Returns the bytes of every prompt of a run by its path."""
    found = sorted((model_dir / "prompts").rglob("*.safetensors"))
    return {
        str(path.relative_to(model_dir)): np.ascontiguousarray(files.load(path).array).tobytes()
        for path in found
    }


def entries(model_dir: Path) -> list[dict[str, Any]]:
    """Returns the lines of `metrics.jsonl`."""
    return [json.loads(line) for line in (model_dir / "metrics.jsonl").read_text().splitlines()]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Returns everything under a folder: the content of files, None for directories."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def cached(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Tokenises the tasks of these tests; returns the cache directory and what was printed."""
    folder = tmp_path_factory.mktemp("cache")
    # Compiled programs are kept where the other tests keep theirs.
    compiled = tmp_path_factory.getbasetemp().parent / "compiled"
    compiled.mkdir(exist_ok=True)
    (folder / "compiled").symlink_to(compiled)
    words = flags(CACHE_DIR=str(folder), CACHE_TASKS=TASKS)
    process = launch("cache", "--gin_file=runs/train_mini.gin", *words)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return folder, out


@pytest.fixture(scope="session")
def cache_dir(cached: tuple[Path, str]) -> Path:
    """Returns a cache directory with `TASKS`."""
    return cached[0]


@pytest.fixture(scope="session")
def trained(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a prompt on each of two tasks; `output` and `modules` lie beside the run."""
    folder = tmp_path_factory.mktemp("train")
    words = tiny(
        cache_dir,
        folder / "run",
        MIXTURE_OR_TASK_NAME=("mini_sst2", "mini_cr"),
        TRAIN_STEPS=160,
        EVAL_PERIOD=40,
        train__save_steps=(3,),
    )
    out = run_listing_modules(folder / "modules", "train", "--gin_file=runs/train_mini.gin", *words)
    (folder / "output").write_text(out)
    return folder / "run"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes texts of the mini world in place of C4."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "c4_en").mkdir()
    for split, count in (("train", 200), ("validation", 24)):
        examples = draw_examples("mini_text", split)[:count]
        lines = (json.dumps({"text": f"{e['inputs']} {e['targets']}"}) for e in examples)
        (folder / "c4_en" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """Returns `main`, for commands that run in this process and leave its settings alone."""
    monkeypatch.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", ""))
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = {name: getattr(jax.config, name) for name in names}
    yield lambda *words: main(words)
    for name, value in before.items():
        jax.config.update(name, value)
