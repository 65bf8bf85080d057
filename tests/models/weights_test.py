"""Loading of frozen backbones from directories."""

import dataclasses
import json

import numpy as np
import pytest
import safetensors.numpy
from flax.traverse_util import flatten_dict

from prompt_tuning.models.weights import SHIPPED, load_backbone, parameter_shapes
from prompt_tuning.prompts.files import embedding_digest
from prompt_tuning.types import UserError


@pytest.fixture
def config(golden_maker):
    return golden_maker.CONFIGS["t5_1_1"]


@pytest.fixture
def weights(golden_maker, config):
    return dict(flatten_dict(golden_maker.parameters(config, 0), sep="/"))


@pytest.fixture
def directory(tmp_path, config, weights):
    write_config(tmp_path, dataclasses.asdict(config), {"extra_ids": 10, "pad_id": 0})
    safetensors.numpy.save_file(weights, tmp_path / "weights.safetensors")
    (tmp_path / "sentencepiece.model").write_bytes(b"a vocabulary")
    return tmp_path


def write_config(directory, model, vocabulary):
    values = {"model": model, "vocabulary": vocabulary, "note": "not read"}
    (directory / "config.json").write_text(json.dumps(values))


def change_config(directory, extra_ids=10, **changes):
    """Changes fields of the model, and `extra_ids`; None takes one away."""
    values = json.loads((directory / "config.json").read_text())
    model = {k: v for k, v in {**values["model"], **changes}.items() if v is not None}
    write_config(directory, model, {} if extra_ids is None else {"extra_ids": extra_ids})


def test_a_directory_is_loaded_whole(directory, config, weights):
    backbone = load_backbone(directory)
    assert (backbone.config, backbone.extra_ids) == (config, 10)
    assert backbone.vocabulary_file == directory / "sentencepiece.model"
    loaded = flatten_dict(backbone.params, sep="/")
    assert loaded.keys() == weights.keys()
    for name, value in loaded.items():
        np.testing.assert_array_equal(np.asarray(value), weights[name])


def test_the_digest_is_that_of_the_embedding_table(directory, weights):
    assert load_backbone(str(directory)).digest == embedding_digest(
        weights["token_embedder/embedding"]
    )


def test_half_precision_weights_load_as_float32(directory, weights):
    half = {name: value.astype(np.float16) for name, value in weights.items()}
    safetensors.numpy.save_file(half, directory / "weights.safetensors")
    table = load_backbone(directory).params["token_embedder"]["embedding"]
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, half["token_embedder/embedding"].astype(np.float32))


def test_the_compute_dtype_defaults_to_float32_and_can_be_named(directory):
    change_config(directory, dtype="bfloat16")
    assert load_backbone(directory).config.dtype == "bfloat16"


def test_every_parameter_that_does_not_fit_is_listed(directory, weights):
    del weights["encoder/encoder_norm/scale"]
    weights["decoder/decoder_norm/bias"] = np.zeros(16, np.float32)
    weights["token_embedder/embedding"] = np.zeros((41, 16), np.float32)
    safetensors.numpy.save_file(weights, directory / "weights.safetensors")
    with pytest.raises(UserError) as error:
        load_backbone(directory)
    assert "missing encoder/encoder_norm/scale; extra decoder/decoder_norm/bias;" in str(
        error.value
    )
    assert "token_embedder/embedding has shape [41, 16], not [40, 16]" in str(error.value)


def test_weights_that_are_not_finite_are_refused(directory, weights):
    weights["encoder/encoder_norm/scale"][3] = np.nan
    safetensors.numpy.save_file(weights, directory / "weights.safetensors")
    with pytest.raises(UserError, match="not finite: encoder/encoder_norm/scale"):
        load_backbone(directory)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"emb_dim": None}, "emb_dim missing"),
        ({"extra_ids": None}, "extra_ids missing"),
        ({"mlp_dim": None, "mlp_dims": 24}, r"mlp_dim missing \(did you mean mlp_dims\?\)"),
        ({"extra_ids": -1}, "extra_ids cannot be -1"),
        ({"num_heads": 0}, "num_heads cannot be 0"),
        ({"num_heads": "2"}, "num_heads cannot be '2'"),
        ({"tied_embeddings": 1}, "tied_embeddings cannot be 1"),
        ({"activations": ["gleu", "linear"]}, "activations cannot be"),
        ({"dtype": "int8"}, "dtype cannot be 'int8'"),
        ({"name": ""}, "name cannot be ''"),
    ],
)
def test_a_wrong_config_is_refused(directory, changes, message):
    change_config(directory, **changes)
    with pytest.raises(UserError, match=message) as error:
        load_backbone(directory)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "config.json: cannot read it"),
        ("config.json", b"{", "config.json: not valid JSON"),
        ("config.json", b"\xff\xfe", "config.json: not valid JSON"),
        ("config.json", b"[]", "config.json: needs the objects model and vocabulary"),
        ("config.json", b'{"model": {}}', "config.json: needs the objects model and vocabulary"),
        ("weights.safetensors", None, "weights.safetensors: cannot read them"),
        ("weights.safetensors", b"", "weights.safetensors: damaged"),
        ("weights.safetensors", b"\x80\x04K\x01." * 9, "weights.safetensors: damaged"),
        ("sentencepiece.model", None, "sentencepiece.model is missing"),
    ],
    ids=range(9),
)
def test_a_missing_or_damaged_file_is_named(directory, file, content, message):
    if content is None:
        (directory / file).unlink()
    else:
        (directory / file).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        load_backbone(directory)
    assert "\n" not in str(error.value)


def test_truncated_weights_are_refused(directory):
    path = directory / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        load_backbone(directory)


def test_an_unknown_name_gets_the_nearest(tmp_path):
    with pytest.raises(UserError, match=r"no such name or directory \(did you mean t5_mini\?\)"):
        load_backbone("t5_mimi")
    with pytest.raises(UserError, match="no such name or directory; known are t5_mini"):
        load_backbone(tmp_path / "absent")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_backbones_load(name):
    assert load_backbone(name).config.name == name


def test_parameter_shapes_follow_the_config(config):
    shapes = parameter_shapes(config)
    assert shapes["encoder/layers_1/mlp/wi_1/kernel"] == (16, 24)
    assert shapes["decoder/relpos_bias/rel_embedding"] == (2, 32)
    tied = parameter_shapes(dataclasses.replace(config, tied_embeddings=True))
    assert shapes.keys() - tied.keys() == {"decoder/logits_dense/kernel"}
