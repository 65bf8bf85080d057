"""Checkpoints of T5X: a real one, ones written here, and damaged ones."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore as ts
from flax.traverse_util import flatten_dict
from jax.sharding import SingleDeviceSharding

from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.formats.t5x import open_t5x, write_t5x
from prompt_tuning.models.parameters import in_memory, read_whole
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.t5.network import T5
from prompt_tuning.models.weights import Backbone, open_backbone
from prompt_tuning.types import UserError

REAL = "t5/t5x_1_1_tiny/checkpoint_3"
TINY = T5Config(
    name="t5x_1_1_tiny",
    vocab_size=32128,
    emb_dim=4,
    num_heads=2,
    head_dim=2,
    mlp_dim=8,
    num_encoder_layers=2,
    num_decoder_layers=2,
    activations=("gelu", "linear"),
    tied_embeddings=False,
    relative_buckets=4,
    relative_max_distance=8,
)


def open_with(path, model, vocabulary) -> Backbone:
    """Opens a checkpoint with a model's shape and vocabulary."""
    return open_backbone(
        path, model=model, vocabulary=vocabulary and Path(vocabulary), param_dtype="float32"
    )


def load(backbone: Backbone):
    return backbone.load([SingleDeviceSharding(jax.devices()[0])])[0]


@pytest.fixture
def params(golden_maker):
    return golden_maker.parameters(golden_maker.CONFIGS["t5_1_1"], 0)


@pytest.fixture
def config(golden_maker) -> T5Config:
    return golden_maker.CONFIGS["t5_1_1"]


@pytest.fixture
def vocabulary(tmp_path: Path) -> str:
    return str(write_vocabulary(tmp_path / "pieces.model", 40, sentinels=2))


@pytest.fixture
def written(tmp_path: Path, params, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint in T5X's own format, every matrix in an array of several chunks."""
    monkeypatch.setattr("prompt_tuning.models.formats.t5x._INLINE", 100)
    monkeypatch.setattr("prompt_tuning.models.formats.t5x._CHUNK", 200)
    (tmp_path / "checkpoint_7").mkdir()
    write_t5x(tmp_path / "checkpoint_7", in_memory(params), 7)
    return tmp_path / "checkpoint_7"


def equal(found, params) -> bool:
    """Returns whether two trees have the same names and numbers."""
    same = jax.tree.map(np.array_equal, found, params)
    return all(jax.tree.leaves(same))


def test_a_real_checkpoint_is_read(shared_data: Path):
    backbone = open_with(shared_data / REAL, TINY, str(shared_data / "t5/spiece.model"))
    assert backbone.extra_ids == 100
    params = load(backbone)
    tokens = jnp.asarray([[5, 6, 1]])
    logits = T5(TINY).apply({"params": params}, tokens, tokens)
    assert np.isfinite(np.asarray(logits)).all()
    # Two parameters as other programs read them: from the index, and by TensorStore.
    index = flax.serialization.msgpack_restore((shared_data / REAL / "checkpoint").read_bytes())
    inline = index["optimizer"]["target"]["encoder"]["relpos_bias"]["rel_embedding"]
    np.testing.assert_array_equal(params["encoder"]["relpos_bias"]["rel_embedding"], inline)
    folder = shared_data / REAL / "target.decoder.logits_dense.kernel"
    store = {"driver": "zarr", "kvstore": {"driver": "file", "path": str(folder)}}
    kernel = ts.open(store).result().read().result()
    np.testing.assert_array_equal(params["decoder"]["logits_dense"]["kernel"], kernel)


def test_a_checkpoint_is_opened_as_it_was_written(written: Path, params, config, vocabulary):
    backbone = open_with(written, config, vocabulary)
    assert equal(load(backbone), params)
    assert backbone.extra_ids == 0  # The vocabulary has its sentinels.
    assert len(list((written / "target.token_embedder.embedding").iterdir())) == 1 + 4


def test_a_path_may_contain_parent_directories(written: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(written)
    names = open_t5x(str(written)).parameters.keys()
    assert names == open_t5x("../checkpoint_7").parameters.keys() == open_t5x(".").parameters.keys()


def test_half_precision_is_kept(tmp_path: Path, params):
    half = jax.tree.map(lambda leaf: np.asarray(leaf, jnp.bfloat16), params)
    write_t5x(tmp_path, in_memory(half), 0)
    for name, parameter in open_t5x(str(tmp_path)).parameters.items():
        assert parameter.dtype == jnp.bfloat16
        np.testing.assert_array_equal(
            read_whole(parameter, name, parameter.dtype), flatten_dict(half, sep="/")[name]
        )


def test_an_index_has_what_t5x_needs_to_restore_it(written: Path):
    index: Any = flax.serialization.msgpack_restore((written / "checkpoint").read_bytes())
    assert index.keys() == {"version", "optimizer"} and index["version"] == 3
    assert index["optimizer"]["state"] == {"step": np.int32(7)}
    name = "target.encoder.layers_0.mlp.wo.kernel"
    metadata = {"chunks": [12, 16], "compressor": {"id": "gzip", "level": 1}}
    assert index["optimizer"]["target"]["encoder"]["layers_0"]["mlp"]["wo"]["kernel"] == {
        "driver": "zarr",
        "kvstore": {"driver": "file", "path": name},
        "metadata": {**metadata, "dtype": "<f4", "shape": [24, 16]},
    }


def test_an_index_with_dtypes_beside_the_metadata_is_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("prompt_tuning.models.formats.t5x._INLINE", 1)
    params = {"a/scale": np.arange(3, dtype=np.float32), "b": np.ones((2, 2), jnp.bfloat16)}
    write_t5x(tmp_path, in_memory(params), 0)
    index: Any = flax.serialization.msgpack_restore((tmp_path / "checkpoint").read_bytes())
    target = index["optimizer"]["target"]
    for leaf, dtype in ((target["a"]["scale"], "float32"), (target["b"], "bfloat16")):
        del leaf["metadata"]["dtype"]
        leaf["dtype"] = dtype
    (tmp_path / "checkpoint").write_bytes(flax.serialization.msgpack_serialize(index))
    for name, parameter in open_t5x(str(tmp_path)).parameters.items():
        found = read_whole(parameter, name, parameter.dtype)
        assert found.dtype == params[name].dtype and np.array_equal(found, params[name])


@pytest.mark.parametrize(
    "settings", [{"use_ocdbt": False}, {}, {"use_zarr3": True}], ids=["zarr", "ocdbt", "zarr3"]
)
def test_checkpoints_of_orbax_are_read(settings, tmp_path: Path, params, config, vocabulary):
    tree = {"target": params, "state": {"step": np.int32(3), "param_states": {}}}
    tree = jax.tree.map(jnp.asarray, tree)
    with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(**settings)) as checkpointer:
        checkpointer.save(tmp_path / "checkpoint_3" / "state", args=ocp.args.PyTreeSave(tree))
    backbone = open_with(tmp_path / "checkpoint_3", config, vocabulary)
    assert equal(load(backbone), params)


def test_an_index_of_older_orbax_is_read(written: Path, params, config, vocabulary):
    path = written / "checkpoint"
    target = flax.serialization.msgpack_restore(path.read_bytes())["optimizer"]["target"]
    target = jax.tree.map(
        lambda leaf: leaf if isinstance(leaf, np.ndarray) else "PLACEHOLDER://somewhere",
        target,
        is_leaf=lambda leaf: isinstance(leaf, np.ndarray) or "driver" in leaf,
    )
    path.write_bytes(flax.serialization.msgpack_serialize({"target": target}))
    assert equal(load(open_with(written, config, vocabulary)), params)


def test_a_missing_chunk_is_not_read_as_zeros(written: Path, config, vocabulary):
    (written / "target.token_embedder.embedding" / "1.0").unlink()
    backbone = open_with(written, config, vocabulary)
    with pytest.raises(UserError, match=r"target.token_embedder.embedding: missing .*1.0.*missing"):
        load(backbone)


def test_a_truncated_chunk_is_refused(written: Path, config, vocabulary):
    chunk = written / "target.token_embedder.embedding" / "1.0"
    chunk.write_bytes(chunk.read_bytes()[:-20])
    backbone = open_with(written, config, vocabulary)
    with pytest.raises(
        UserError, match=r"target.token_embedder.embedding: missing or damaged"
    ) as e:
        load(backbone)
    assert "\n" not in str(e.value)


def test_an_array_that_is_missing_or_of_another_shape_is_refused(written: Path, config, vocabulary):
    backbone = open_with(written, config, vocabulary)
    folder = written / "target.token_embedder.embedding"
    metadata = json.loads((folder / ".zarray").read_text())
    (folder / ".zarray").write_text(json.dumps({**metadata, "shape": [20, 16]}))
    with pytest.raises(UserError, match=r"its shape is \[20, 16\], not \[40, 16\]"):
        load(backbone)
    shutil.rmtree(folder)
    with pytest.raises(UserError, match=r"token_embedder.embedding: missing or damaged"):
        load(backbone)


@pytest.mark.parametrize("content", [b"", b"\xc1", b"\x80", b"\x81\xa6target\x05"])
def test_a_damaged_index_is_refused(content: bytes, written: Path, config, vocabulary):
    (written / "checkpoint").write_bytes(content)
    with pytest.raises(UserError, match=r"checkpoint_7/checkpoint") as error:
        open_with(written, config, vocabulary)
    assert "\n" not in str(error.value)


def test_a_truncated_index_is_refused(written: Path, config, vocabulary):
    index = written / "checkpoint"
    index.write_bytes(index.read_bytes()[: os.path.getsize(index) // 2])
    with pytest.raises(UserError, match=r"checkpoint_7/checkpoint: missing or damaged"):
        open_with(written, config, vocabulary)


def test_a_damaged_index_of_orbax_is_refused(tmp_path: Path):
    for content in ("{", "[]", '{"tree_metadata": {}}', '{"use_ocdbt": 1, "tree_metadata": 3}'):
        (tmp_path / "_METADATA").write_text(content)
        with pytest.raises(UserError, match=r"_METADATA: missing or damaged"):
            open_t5x(str(tmp_path))
    (tmp_path / "_METADATA").write_text('{"use_ocdbt": true, "tree_metadata": {}}')
    with pytest.raises(UserError, match=r"_METADATA: it has no T5X target"):
        open_t5x(str(tmp_path))


def test_a_directory_of_checkpoints_lists_them(written: Path, config, vocabulary):
    with pytest.raises(UserError, match=r"directory of checkpoints; .*: checkpoint_7"):
        open_with(written.parent, config, vocabulary)
    (written / "checkpoint").unlink()
    with pytest.raises(UserError, match=r"neither a file 'checkpoint' nor '_METADATA'"):
        open_with(written, config, vocabulary)
    shutil.rmtree(written)
    with pytest.raises(UserError, match=r"neither weights.safetensors"):
        open_with(written.parent, config, vocabulary)


def test_the_model_and_the_vocabulary_must_be_given(written: Path, config, vocabulary):
    with pytest.raises(UserError, match=r"does not say what model .*40 embedding rows, width 16,"):
        open_with(written, None, vocabulary)
    with pytest.raises(UserError, match=r"T5X checkpoints have no vocabulary; set VOCABULARY"):
        open_with(written, config, None)


def test_scanned_layers_are_refused(written: Path, config, vocabulary):
    path = written / "checkpoint"
    index = flax.serialization.msgpack_restore(path.read_bytes())
    encoder = index["optimizer"]["target"]["encoder"]
    encoder["encoder"] = {"mlp": {"wi": np.zeros(3, np.float32)}}
    path.write_bytes(flax.serialization.msgpack_serialize(index))
    with pytest.raises(UserError, match="a model with scanned layers, which is not supported"):
        open_with(written, config, vocabulary)


def test_numbers_that_are_not_floats_are_refused(written: Path):
    index = {"target": {"decoder": {"scale": np.zeros(3, np.int32)}}}
    (written / "checkpoint").write_bytes(flax.serialization.msgpack_serialize(index))
    with pytest.raises(UserError, match="decoder/scale is of type int32, not a float"):
        open_t5x(str(written))


def test_a_vocabulary_of_another_size_is_refused(written: Path, config, tmp_path: Path):
    for pieces, sentinels, size in ((30, 2, None), (38, 0, None), (41, 2, "41"), (41, 0, "141")):
        file = write_vocabulary(tmp_path / "other.model", pieces, sentinels)
        if size is None:  # The other rows round the table up.
            assert open_with(written, config, str(file)).extra_ids == 0
            continue
        with pytest.raises(UserError, match=rf"not the model's: it has {size} pieces .* 40 embe"):
            open_with(written, config, str(file))


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_a_file_that_is_not_a_vocabulary_is_refused(content, written: Path, config, tmp_path: Path):
    file = tmp_path / "broken.model"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"vocabulary .*broken.model( is not a S|: cannot read it)"):
        open_with(written, config, str(file))
