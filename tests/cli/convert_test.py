"""`convert`, from the command line: round trips through every form are exact."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import flax.serialization
import jax
import numpy as np
import pytest
import safetensors.numpy

from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.formats.t5x import open_t5x
from prompt_tuning.models.parameters import read_whole
from tests.cli.conftest import flags

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    """A directory of transformers, of a T5 1.1."""
    shutil.copytree(GOLDEN / "hf_t5_1_1", tmp_path / "hf")
    write_vocabulary(tmp_path / "hf" / "spiece.model", 48, sentinels=5)
    return tmp_path / "hf"


def _convert(here: Callable[..., int], source: Path, target: Path, form: str, **more) -> int:
    """Converts, quoting the shape of the golden model where T5X's form does not have it."""
    shape = {"name": "hf", "vocab_size": 48, "emb_dim": 16, "num_heads": 2, "head_dim": 6}
    shape |= {"mlp_dim": 20, "num_encoder_layers": 2, "num_decoder_layers": 1}
    shape |= {"activations": ("gelu", "linear"), "tied_embeddings": False}
    words = [f"--gin.T5Config.{name}={value!r}" for name, value in shape.items()]
    given = flags(
        INITIAL_CHECKPOINT_PATH=str(source),
        CONVERT_TO=str(target),
        CONVERT_FORMAT=form,
        VOCABULARY=str(source.parent / "hf" / "spiece.model"),
        **more,
    )
    return here("convert", "--gin_file=defaults.gin", "--gin.MODEL=@T5Config()", *words, *given)


def test_round_trips_through_every_form_are_exact(
    here: Callable[..., int], hugging_face: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    own, t5x, back = tmp_path / "own", tmp_path / "checkpoint_9", tmp_path / "back"
    before = safetensors.numpy.load_file(hugging_face / "model.safetensors")
    count = sum(tensor.size for tensor in before.values())
    assert _convert(here, hugging_face, own, "prompt_tuning") == 0
    assert f"hf, {count:,} parameters of float32 (0.0 MB), is in" in capsys.readouterr().out
    assert _convert(here, own, t5x, "t5x", convert__step=9) == 0
    assert _convert(here, t5x, back, "hugging_face") == 0
    after = safetensors.numpy.load_file(back / "model.safetensors")
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert tensor.dtype == after[name].dtype
        np.testing.assert_array_equal(tensor, after[name])
    theirs, ours = (json.loads((d / "config.json").read_text()) for d in (hugging_face, back))
    assert {name: theirs.get(name, True) for name in ours} == ours
    assert (back / "spiece.model").read_bytes() == (hugging_face / "spiece.model").read_bytes()


def test_a_t5x_checkpoint_is_laid_out_as_a_real_one(
    here: Callable[..., int], tmp_path: Path, shared_data: Path
):
    real = shared_data / "t5" / "t5x_1_1_tiny" / "checkpoint_3"
    shape = {"name": "tiny", "vocab_size": 32128, "emb_dim": 4, "num_heads": 2, "head_dim": 2}
    shape |= {"mlp_dim": 8, "num_encoder_layers": 2, "num_decoder_layers": 2}
    shape |= {"relative_buckets": 4, "relative_max_distance": 8}
    words = [f"--gin.T5Config.{name}={value!r}" for name, value in shape.items()]
    words += flags(
        INITIAL_CHECKPOINT_PATH=str(real),
        VOCABULARY=str(shared_data / "t5" / "spiece.model"),
        CONVERT_TO=str(tmp_path / "checkpoint_3"),
        CONVERT_FORMAT="t5x",
        convert__step=3,
    )
    model = ("--gin_file=defaults.gin", "--gin_file=models/t5_1_1.gin")
    assert here("convert", *model, *words) == 0
    indices = [
        flax.serialization.msgpack_restore((folder / "checkpoint").read_bytes())
        for folder in (real, tmp_path / "checkpoint_3")
    ]
    (theirs, their_leaves), (ours, our_leaves) = (
        (jax.tree.structure(tree, is_leaf=_is_leaf), jax.tree.leaves(tree, is_leaf=_is_leaf))
        for tree in (index["optimizer"]["target"] for index in indices)
    )
    assert ours == theirs
    assert [index["version"] for index in indices] == [3, 3]
    assert indices[1]["optimizer"]["state"]["step"] == 3
    for mine, yours in zip(our_leaves, their_leaves, strict=True):
        if isinstance(mine, dict) and isinstance(yours, dict):
            assert mine.keys() == yours.keys()
            assert mine["metadata"].keys() == yours["metadata"].keys()
            assert mine["kvstore"]["path"] == yours["kvstore"]["path"]
    written = open_t5x(str(tmp_path / "checkpoint_3")).parameters
    for name, parameter in open_t5x(str(real)).parameters.items():
        np.testing.assert_array_equal(
            read_whole(parameter, name, parameter.dtype),
            read_whole(written[name], name, parameter.dtype),
        )


def _is_leaf(node) -> bool:
    return not isinstance(node, dict) or "driver" in node


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"CONVERT_FORMAT": "huggingface"}, "no form is called 'huggingface' (did you mean hugg"),
        ({"CONVERT_TO": "."}, ". exists; set CONVERT_TO to a directory that does not"),
        ({"convert__step": -1}, "convert.step is -1; it must be 0 or more"),
        ({"INITIAL_CHECKPOINT_PATH": "t5_mimi"}, "no such name or directory (did you mean t5_mini"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(
    changes, message: str, here: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture
):
    settings = {"CONVERT_TO": str(tmp_path / "out"), **changes}
    files = ("--gin_file=defaults.gin", "--gin_file=models/t5_mini.gin")
    assert here("convert", *files, *flags(**settings)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_dry_run_writes_nothing(
    here: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture
):
    settings = flags(CONVERT_TO=str(tmp_path / "out"))
    files = ("--gin_file=defaults.gin", "--gin_file=models/t5_mini.gin")
    assert here("convert", *files, *settings, "--dry_run") == 0
    assert "436,352 parameters of float32 (1.7 MB), would be in" in capsys.readouterr().out
    settings = flags(CONVERT_TO=str(tmp_path / "out"), CACHE_DIR=str(tmp_path / "cache"))
    remote = "--gin_file=models/t5_1_1_lm100k_small.gin"
    assert here("convert", remote, *settings, "--dry_run") == 0
    assert (
        "76,961,152 parameters, would be downloaded from gs://t5-data/" in capsys.readouterr().out
    )
    assert not list(tmp_path.iterdir())
