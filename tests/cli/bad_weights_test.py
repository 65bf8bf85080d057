"""Damaged and mistaken weights end a command with one line, and nothing is written."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import prompt_tuning
from prompt_tuning.models.formats.t5x import write_t5x
from prompt_tuning.models.weights import Backbone, open_backbone
from tests.cli.conftest import flags, tiny
from tests.pieces import write_vocabulary

T5_MINI = Path(prompt_tuning.__file__).parent / "models" / "t5_mini"


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return open_backbone("t5_mini", model=None, vocabulary=None, param_dtype="float32")


def _fails(here: Callable[..., int], capsys: pytest.CaptureFixture, *words: str) -> str:
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("prompt-tuning: error: ") and error.count("\n") == 1
    return error


def test_weights_that_are_cut_short(here, capsys, tmp_path: Path):
    shutil.copytree(T5_MINI, tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    words = tiny(tmp_path / "c", tmp_path / "run", INITIAL_CHECKPOINT_PATH=str(path.parent))
    assert "weights.safetensors: damaged" in _fails(here, capsys, *words)
    assert not (tmp_path / "run").exists()


def test_weights_of_another_model(here, capsys, tmp_path: Path):
    shutil.copytree(T5_MINI, tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"emb_dim": 64', '"emb_dim": 128'))
    words = tiny(tmp_path / "c", tmp_path / "run", INITIAL_CHECKPOINT_PATH=str(config.parent))
    error = _fails(here, capsys, *words)
    assert "they are of a model with width 64 where the config has width 128)" in error
    assert "; and " in error and error.count("has shape") == 6
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_that_is_not_the_models(here, capsys, tmp_path: Path):
    file = write_vocabulary(tmp_path / "other.model", 700)
    words = tiny(tmp_path / "c", tmp_path / "run", VOCABULARY=str(file))
    assert "other.model is not the model's: it has 716 pieces" in _fails(here, capsys, *words)
    assert not (tmp_path / "run").exists()


def test_a_chunk_that_is_missing(here, capsys, tmp_path: Path, cache_dir: Path, backbone: Backbone):
    write_t5x(tmp_path, backbone.parameters, 0)
    (tmp_path / "target.token_embedder.embedding" / "0.0").unlink()
    shape = dataclasses.asdict(backbone.config)
    del shape["dtype"]
    words = tiny(
        cache_dir,
        tmp_path / "run",
        INITIAL_CHECKPOINT_PATH=str(tmp_path),
        VOCABULARY=str(T5_MINI / "sentencepiece.model"),
    )
    words += ["--gin.MODEL=@T5Config()"]
    words += flags(**{f"T5Config__{name}": value for name, value in shape.items()})
    error = _fails(here, capsys, *words)
    assert "target.token_embedder.embedding: missing or damaged" in error
    assert not (tmp_path / "run").exists()
