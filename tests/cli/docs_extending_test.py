"""The code of docs/extending.md works as it is written there, in the commands shown there."""

import importlib
import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import prompt_tuning
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.formats.t5x import write_t5x
from prompt_tuning.models.parameters import in_memory, read_whole
from prompt_tuning.models.t5.shapes import EMBEDDING
from prompt_tuning.models.weights import open_backbone
from prompt_tuning.prompts import files
from tests.cli.conftest import tiny
from tests.documented import commands, write_files

TEXT = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
VOCABULARY = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini" / "sentencepiece.model"


@pytest.fixture
def train(
    here: Callable[..., int], cache_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Returns a function that runs a command of the page for a few steps; it gives `MODEL_DIR`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write_files(TEXT.replace("/data/films", str(tmp_path)), tmp_path)

    def train(name: str, **bindings: int) -> Path:
        (command,) = (c for c in commands(TEXT) if f"MODEL_DIR=\"'runs/{name}'\"" in c)
        settings = tiny(cache_dir, tmp_path / name, TRAIN_STEPS=6, EVAL_PERIOD=3, **bindings)
        assert here(*shlex.split(command)[1:], *settings) == 0
        return tmp_path / name

    return train


def prompt(model_dir: Path, name: str) -> files.Prompt:
    """Returns a prompt of the only row of a run."""
    (path,) = (model_dir / "prompts").glob(f"*/{name}.safetensors")
    return files.load(path)


def test_there_is_a_command_for_each_section():
    assert len(commands(TEXT)) == 4


def test_a_task(train: Callable[..., Path], tmp_path: Path):
    for split in ("train", "validation"):
        (tmp_path / f"{split}.tsv").write_text("a fine one\tgood\na dull one\tbad\n" * 4)
    results = json.loads((train("films") / "results.json").read_text())
    (row,) = results["rows"]
    assert (row["target"], row["metric"], row["init"]) == ("films", "accuracy", "class_labels")


def test_an_initializer(train: Callable[..., Path]):
    first = prompt(train("normal", train__save_steps=0), "step_0")
    backbone = open_backbone("t5_mini", model=None, vocabulary=None, param_dtype="float32")
    table = read_whole(backbone.parameters[EMBEDDING], EMBEDDING, np.dtype(np.float32))
    assert first.metadata["init"] == "normal"
    np.testing.assert_allclose(first.array.std(), 0.5 * table.std(), rtol=0.1)


def test_a_parameterization(train: Callable[..., Path]):
    best = prompt(train("low_rank"), "best")
    assert best.trainable is not None and set(best.trainable) == {"left", "right"}
    product = best.trainable["left"] @ best.trainable["right"]
    np.testing.assert_allclose(best.array, product, rtol=1e-4, atol=1e-5)
    assert np.linalg.matrix_rank(best.array, tol=1e-3) == 4


def test_a_model_family(train: Callable[..., Path], tmp_path: Path):
    reviews = [f"it was {('good', 'bad')[i % 2]} {i},{('good', 'bad')[i % 2]}" for i in range(40)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *reviews]))
    pooled = importlib.import_module("pooled")
    config = pooled.PooledConfig(name="pooled", vocab_size=1096, emb_dim=32)
    shapes = parameter_shapes(config)
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=size).astype(np.float32) for name, size in shapes.items()}
    (tmp_path / "pooled" / "checkpoint_0").mkdir(parents=True)
    write_t5x(tmp_path / "pooled" / "checkpoint_0", in_memory(params), 0)
    shutil.copy(VOCABULARY, tmp_path / "pooled")
    best = prompt(train("pooled"), "best")
    assert best.metadata["backbone"] == "pooled"
    assert best.array.shape == (10, 32) and np.isfinite(best.array).all()
