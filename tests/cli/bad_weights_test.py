"""Damaged and mistaken weights end a command with one line, and nothing is written."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import prompt_tuning
from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.formats.t5x import write_t5x
from prompt_tuning.models.weights import open_backbone
from tests.cli.conftest import flags, tiny

TRAIN = ("train", "--gin_file=runs/train_mini.gin")
T5_MINI = Path(prompt_tuning.__file__).parent / "mini" / "t5_mini"


def _fails(here: Callable[..., int], capsys: pytest.CaptureFixture, *words: str) -> str:
    assert here(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("prompt-tuning: error: ") and error.count("\n") == 1
    return error


def test_weights_that_are_cut_short(here, capsys, tmp_path: Path):
    shutil.copytree(T5_MINI, tmp_path / "model")
    path = tmp_path / "model" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    words = tiny(tmp_path / "c", tmp_path / "run", INITIAL_CHECKPOINT_PATH=str(path.parent))
    assert "weights.safetensors: damaged" in _fails(here, capsys, *TRAIN, *words)
    assert not (tmp_path / "run").exists()


def test_weights_of_another_model(here, capsys, tmp_path: Path):
    shutil.copytree(T5_MINI, tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"emb_dim": 64', '"emb_dim": 128'))
    words = tiny(tmp_path / "c", tmp_path / "run", INITIAL_CHECKPOINT_PATH=str(config.parent))
    error = _fails(here, capsys, *TRAIN, *words)
    assert "they are of a model with width 64 where the config has width 128)" in error
    assert "; and " in error and error.count("has shape") == 6
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_that_is_not_the_models(here, capsys, tmp_path: Path):
    file = write_vocabulary(tmp_path / "other.model", 700)
    words = tiny(tmp_path / "c", tmp_path / "run", VOCABULARY=str(file))
    assert "other.model is not the model's: it has 716 pieces" in _fails(
        here, capsys, *TRAIN, *words
    )
    assert not (tmp_path / "run").exists()


def test_a_chunk_that_is_missing(here, capsys, tmp_path: Path):
    backbone = open_backbone("t5_mini", model=None, vocabulary=None, param_dtype="float32")
    (tmp_path / "checkpoint_0").mkdir()
    write_t5x(tmp_path / "checkpoint_0", backbone.parameters, 0)
    (tmp_path / "checkpoint_0" / "target.token_embedder.embedding" / "0.0").unlink()
    shape = dataclasses.asdict(backbone.config)
    del shape["dtype"]
    words = flags(
        INITIAL_CHECKPOINT_PATH=str(tmp_path / "checkpoint_0"),
        VOCABULARY=str(T5_MINI / "sentencepiece.model"),
        CONVERT_TO=str(tmp_path / "copy"),
        **{f"T5Config__{name}": value for name, value in shape.items()},
    )
    words = ["--gin_file=defaults.gin", "--gin.MODEL=@T5Config()", *words]
    error = _fails(here, capsys, "convert", *words)
    assert "target.token_embedder.embedding: missing or damaged" in error
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_0"]
