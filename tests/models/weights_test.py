"""Loading of frozen backbones from directories."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.parameters import (
    InMemory,
    load_parameters,
    read_whole,
    split_rows,
)
from prompt_tuning.models.t5.network import T5
from prompt_tuning.models.weights import SHIPPED, Backbone, open_backbone, save_backbone
from prompt_tuning.prompts.files import digest
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
    write_vocabulary(tmp_path / "sentencepiece.model", 30)
    return tmp_path


def write_config(directory, model, vocabulary):
    values = {"model": model, "vocabulary": vocabulary, "note": "not read"}
    (directory / "config.json").write_text(json.dumps(values))


def change_config(directory, extra_ids=10, **changes):
    """Changes fields of the model, and `extra_ids`; None removes one."""
    values = json.loads((directory / "config.json").read_text())
    model = {k: v for k, v in {**values["model"], **changes}.items() if v is not None}
    write_config(directory, model, {} if extra_ids is None else {"extra_ids": extra_ids})


def open_whole(path, **changes) -> Backbone:
    """Opens a backbone with its stored config and vocabulary."""
    settings = {"model": None, "vocabulary": None, "param_dtype": "float32"}
    return open_backbone(path, **{**settings, **changes})


def loaded(backbone) -> dict:
    """Returns the parameters by name."""
    (params,) = backbone.load([SingleDeviceSharding(jax.devices()[0])])
    return dict(flatten_dict(params, sep="/"))


def test_all_parameters_of_a_directory_are_loaded(directory, config, weights):
    backbone = open_whole(directory)
    assert (backbone.config, backbone.extra_ids) == (config, 10)
    assert backbone.vocabulary_file == directory / "sentencepiece.model"
    params = loaded(backbone)
    assert params.keys() == weights.keys()
    for name, value in params.items():
        np.testing.assert_array_equal(np.asarray(value), weights[name])


def test_a_saved_backbone_is_opened_as_it_was(directory, weights, tmp_path):
    backbone = open_whole(directory)
    (params,) = backbone.load([SingleDeviceSharding(jax.devices()[0])])
    for _ in range(2):  # The second takes the place of the first.
        save_backbone(tmp_path / "saved", backbone.config, params, backbone.vocabulary_file, 10)
    saved = open_whole(tmp_path / "saved")
    assert (saved.config, saved.extra_ids) == (backbone.config, 10)
    assert saved.vocabulary_file.read_bytes() == backbone.vocabulary_file.read_bytes()
    for name, value in loaded(saved).items():
        np.testing.assert_array_equal(value, weights[name])
    assert not list(tmp_path.glob(".saved*"))


def test_a_backbone_that_cannot_be_saved_leaves_no_files(directory, config, tmp_path):
    broken = {"encoder": {"scale": np.full(3, np.inf, np.float32)}}
    with pytest.raises(UserError, match="not finite: encoder/scale"):
        save_backbone(tmp_path / "saved", config, broken, directory / "sentencepiece.model", 10)
    assert not list(tmp_path.glob("*saved*"))


def test_devices_that_need_the_same_parameters_share_them(directory):
    shardings = [SingleDeviceSharding(device) for device in jax.devices()[:2]]
    one, two = map(jax.tree.leaves, open_whole(directory).load(shardings))
    for mine, yours in zip(one, two, strict=True):
        assert mine.devices() != yours.devices()
        assert mine.unsafe_buffer_pointer() == yours.unsafe_buffer_pointer()


def test_parameters_are_split_over_a_mesh_as_they_are_read(directory, weights):
    mesh = Mesh(np.asarray(jax.devices()[:2]), ("x",))
    name = "encoder/layers_0/mlp/wi_0/kernel"
    backbone = dataclasses.replace(open_whole(directory), parameters={})
    reads = []
    stored = open_whole(directory).parameters[name]

    class Watched(InMemory):
        def read_into(self, index, out):
            reads.append(out.shape)
            stored.read_into(index, out)

    watched = {name: Watched(np.asarray(weights[name]))}
    backbone = dataclasses.replace(backbone, parameters=watched)
    (params,) = backbone.load([NamedSharding(mesh, PartitionSpec(None, "x"))])
    np.testing.assert_array_equal(flatten_dict(params, sep="/")[name], weights[name])
    assert reads == [(16, 12), (16, 12)]


def test_the_largest_parameters_are_read_first_and_into_the_memory_they_stay_in(monkeypatch):
    monkeypatch.setattr("prompt_tuning.models.parameters._WORKERS", 1)
    reads = []

    class Watched(InMemory):
        def read_into(self, index, out):
            reads.append(out.ctypes.data)
            super().read_into(index, out)

    arrays = {
        name: np.full((size, 8), size, np.float32) for name, size in {"a": 9, "b": 99}.items()
    }
    stored = {name: Watched(array) for name, array in arrays.items()}
    (params,) = load_parameters(
        stored, [SingleDeviceSharding(jax.devices()[0])], np.dtype(np.float32)
    )
    assert reads == [params[name].unsafe_buffer_pointer() for name in ("b", "a")]
    np.testing.assert_array_equal(params["b"], arrays["b"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32])
def test_numbers_that_are_not_finite_are_refused_in_every_dtype(value, dtype, monkeypatch):
    monkeypatch.setattr("prompt_tuning.models.parameters._AT_ONCE", 5)
    array = np.zeros((3, 4), dtype)
    array[2, 3] = value
    with pytest.raises(UserError, match="memory: not finite: kernel; copy them again"):
        read_whole(InMemory(array), "kernel", array.dtype)


def test_a_box_is_split_into_rows_that_end_at_multiples():
    box = (slice(3, 17), slice(0, 2))
    assert split_rows(box, (20, 2), 5) == [
        (slice(3, 5), slice(0, 2)),
        (slice(5, 10), slice(0, 2)),
        (slice(10, 15), slice(0, 2)),
        (slice(15, 17), slice(0, 2)),
    ]
    assert split_rows((slice(None),), (3,), 5) == [(slice(0, 3),)]


def test_parameters_are_read_in_small_parts(directory, weights, monkeypatch):
    monkeypatch.setattr("prompt_tuning.models.formats.tensors._AT_ONCE", 200)
    for name, value in loaded(open_whole(directory)).items():
        np.testing.assert_array_equal(value, weights[name])


def test_parameters_may_be_kept_in_half_precision(directory, weights):
    backbone = dataclasses.replace(open_whole(directory), param_dtype="bfloat16")
    for name, value in loaded(backbone).items():
        np.testing.assert_array_equal(value, weights[name].astype(jnp.bfloat16))
    assert backbone.shapes["token_embedder"]["embedding"].dtype == jnp.bfloat16


def test_the_digest_is_that_of_the_embedding_table(directory, weights):
    assert open_whole(str(directory)).digest == digest(weights["token_embedder/embedding"])


def test_half_precision_weights_load_as_float32(directory, weights):
    half = {name: value.astype(np.float16) for name, value in weights.items()}
    safetensors.numpy.save_file(half, directory / "weights.safetensors")
    table = loaded(open_whole(directory))["token_embedder/embedding"]
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, half["token_embedder/embedding"].astype(np.float32))


def test_the_compute_dtype_defaults_to_float32_and_can_be_named(directory):
    change_config(directory, dtype="bfloat16")
    assert open_whole(directory).config.dtype == "bfloat16"


def test_every_parameter_that_does_not_fit_is_listed(directory, weights):
    del weights["encoder/encoder_norm/scale"]
    weights["decoder/decoder_norm/bias"] = np.zeros(16, np.float32)
    weights["token_embedder/embedding"] = np.zeros((41, 16), np.float32)
    safetensors.numpy.save_file(weights, directory / "weights.safetensors")
    with pytest.raises(UserError) as error:
        open_whole(directory)
    assert "missing encoder/encoder_norm/scale; extra decoder/decoder_norm/bias;" in str(
        error.value
    )
    assert "token_embedder/embedding has shape [41, 16], not [40, 16]" in str(error.value)


def test_weights_that_are_not_finite_are_refused(directory, weights):
    weights["encoder/encoder_norm/scale"][3] = np.nan
    safetensors.numpy.save_file(weights, directory / "weights.safetensors")
    with pytest.raises(UserError, match="not finite: encoder/encoder_norm/scale"):
        loaded(open_whole(directory))


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
        open_whole(directory)
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
        ("sentencepiece.model", None, "sentencepiece.model: cannot read it"),
    ],
    ids=range(9),
)
def test_a_missing_or_damaged_file_is_named(directory, file, content, message):
    if content is None:
        (directory / file).unlink()
    else:
        (directory / file).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        open_whole(directory)
    assert "\n" not in str(error.value)


def test_truncated_weights_are_refused(directory):
    path = directory / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="damaged"):
        open_whole(directory)


def test_an_unknown_name_suggests_the_nearest(tmp_path):
    with pytest.raises(UserError, match=r"no such name or directory \(did you mean t5_mini\?\)"):
        open_whole("t5_mimi")
    with pytest.raises(UserError, match="no such name or directory; known are t5_mini"):
        open_whole(tmp_path / "absent")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_backbones_load(name):
    assert open_whole(name).config.name == name


@pytest.mark.parametrize("layers", [(1, 1), (3, 2)])
def test_parameter_shapes_are_those_of_an_initialized_model(config, layers):
    config = dataclasses.replace(config, num_encoder_layers=layers[0], num_decoder_layers=layers[1])
    tokens = jnp.ones((1, 1), jnp.int32)
    params = T5(config).init(jax.random.key(0), tokens, tokens)["params"]
    shapes = jax.tree.map(lambda leaf: leaf.shape, params)
    made = flatten_dict(shapes, sep="/")
    assert parameter_shapes(config) == dict(sorted(made.items()))


def test_parameter_shapes_follow_the_config(config):
    shapes = parameter_shapes(config)
    assert shapes["encoder/layers_1/mlp/wi_1/kernel"] == (16, 24)
    assert shapes["decoder/relpos_bias/rel_embedding"] == (2, 32)
    tied = parameter_shapes(dataclasses.replace(config, tied_embeddings=True))
    assert shapes.keys() - tied.keys() == {"decoder/logits_dense/kernel"}
