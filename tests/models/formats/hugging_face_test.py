"""Directories of transformers: outputs equal its own, and mismatches are refused."""

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from jax.sharding import SingleDeviceSharding

from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.decoding import Greedy
from prompt_tuning.models.family import prompted
from prompt_tuning.models.formats.hugging_face import open_hugging_face
from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.t5.config import T5Config
from prompt_tuning.models.weights import Backbone, open_backbone
from prompt_tuning.prompts.bank import PromptBank, no_prompt
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.types import UserError
from tests.models.conftest import GOLDEN, answer

CASES = ("t5_1_0", "t5_1_1", "gated_tied", "relu_untied")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copy(request.param, tmp_path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return copy("t5_1_1", tmp_path)


def copy(name: str, folder: Path) -> Path:
    """Copies a golden model and gives it a vocabulary."""
    shutil.copytree(GOLDEN / f"hf_{name}", folder / name)
    write_vocabulary(folder / name / "spiece.model", 48, sentinels=5)
    return folder / name


def open_whole(path: Path) -> Backbone:
    """Opens a backbone with its stored config and vocabulary."""
    return open_backbone(path, model=None, vocabulary=None, param_dtype="float32")


def tensors(directory: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(directory / "model.safetensors")


def save(directory: Path, found: dict[str, np.ndarray], name: str = "model.safetensors") -> None:
    safetensors.numpy.save_file(found, directory / name, {"format": "pt"})


def change_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_outputs_are_those_of_transformers_with_and_without_a_prompt(case: Path):
    stored = dict(np.load(case / "outputs.npz"))
    backbone = open_whole(case)
    (params,) = backbone.load([SingleDeviceSharding(jax.devices()[0])])
    model = prompted(backbone.config, prefix)
    batch = Batch(
        jnp.asarray(stored["tokens"], jnp.int32),
        jnp.asarray(stored["targets"], jnp.int32),
        jnp.zeros(4, jnp.int32),
    )
    width = backbone.config.emb_dim
    for kind, bank in (
        ("plain", no_prompt(width)),
        ("prompted", PromptBank(jnp.asarray(stored["prompt"])[None])),
    ):
        logits = jax.jit(model.logits)(params, bank, batch, None)
        expected = stored[f"{kind}_logits"]
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
        inputs = (params, bank, batch.encoder_tokens, batch.prompt_id)
        answers = jax.jit(functools.partial(answer, Greedy(), model, length=6))(*inputs)
        np.testing.assert_array_equal(answers, stored[f"{kind}_greedy"])


def test_the_config_is_that_of_transformers(case: Path):
    config = open_hugging_face(case, "name").config
    assert isinstance(config, T5Config)
    assert (config.name, config.emb_dim, config.num_heads, config.head_dim) == ("name", 16, 2, 6)
    assert (config.num_encoder_layers, config.num_decoder_layers, config.mlp_dim) == (2, 1, 20)
    assert config.tied_embeddings == (case.name in ("t5_1_0", "gated_tied"))
    gated = case.name in ("t5_1_1", "gated_tied")
    assert config.activations == (("gelu", "linear") if gated else ("relu",))


def test_fields_missing_in_an_old_config_have_the_values_of_t5(directory: Path):
    values = json.loads((directory / "config.json").read_text())
    for name in ("feed_forward_proj", "relative_attention_max_distance", "num_decoder_layers"):
        del values[name]
    del values["tie_word_embeddings"]
    (directory / "config.json").write_text(json.dumps(values))
    config = open_hugging_face(directory, "name").config
    assert isinstance(config, T5Config)
    assert (config.activations, config.tied_embeddings) == (("relu",), True)
    assert (config.relative_max_distance, config.num_decoder_layers) == (128, 2)


def test_the_tokenizer_says_how_many_sentinels_there_are(directory: Path):
    assert open_whole(directory).extra_ids == 0  # They are in the file.
    write_vocabulary(directory / "spiece.model", 40)
    (directory / "tokenizer_config.json").write_text('{"extra_ids": 7}')
    assert open_whole(directory).extra_ids == 7


def test_shards_are_one_model(directory: Path):
    whole = open_whole(directory).digest
    found = tensors(directory)
    names = sorted(found)
    files = {"model-00001-of-00002.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, members in files.items():
        save(directory, {name: found[name] for name in members}, file)
    index = {name: file for file, members in files.items() for name in members}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    (directory / "model.safetensors").unlink()
    assert open_whole(directory).digest == whole
    (directory / "model-2.safetensors").unlink()
    with pytest.raises(UserError, match=r"model-2.safetensors: cannot read them"):
        open_whole(directory)
    index = dict.fromkeys(names, "../model-2.safetensors")
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    with pytest.raises(UserError, match="weight_map is not in this directory"):
        open_whole(directory)


def test_the_embedding_table_may_have_several_names_with_equal_values(tmp_path: Path):
    directory = copy("t5_1_0", tmp_path)
    found = tensors(directory)
    digest = open_whole(directory).digest
    table = found.pop("shared.weight")
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    found |= {"decoder.embed_tokens.weight": table, "lm_head.weight": table.copy()}
    save(directory, found | {unused: np.zeros((32, 2), np.float32)})
    assert open_whole(directory).digest == digest
    found["lm_head.weight"] = table + 1
    save(directory, found)
    backbone = open_whole(directory)
    with pytest.raises(UserError, match=r"embed_tokens.weight and lm_head.weight differ"):
        backbone.load([SingleDeviceSharding(jax.devices()[0])])
    found["lm_head.weight"] = table[:-1]
    save(directory, found)
    with pytest.raises(UserError, match=r"lm_head.weight \[47, 16\] are the same table"):
        open_whole(directory)


def test_missing_extra_and_misshapen_tensors_are_listed(directory: Path):
    found = tensors(directory)
    del found["lm_head.weight"]
    found["encoder.block.0.layer.0.SelfAttention.q.bias"] = np.zeros(12, np.float32)
    found["encoder.block.0.layer.0.SelfAttention.k.weight"] = np.zeros((12, 17), np.float32)
    save(directory, found)
    with pytest.raises(UserError) as error:
        open_whole(directory)
    assert "they are of a model with a tied output layer where the config has" in str(error.value)
    assert "missing decoder/logits_dense/kernel" in str(error.value)
    assert "extra encoder.block.0.layer.0.SelfAttention.q.bias" in str(error.value)
    assert "attention/key/kernel has shape [17, 12], not [16, 12]" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "umt5"}, "model_type is 'umt5'; only t5 and mt5 are supported"),
        ({"d_model": "16"}, "d_model must be a size, not '16'"),
        ({"d_ff": None}, "d_ff must be a size, not None"),
        ({"feed_forward_proj": "gated-gelo"}, r"'gated-gelo' \(did you mean gated-gelu"),
        ({"layer_norm_epsilon": 1e-5}, "layer_norm_epsilon is 1e-05, T5 has 1e-06"),
        ({"feed_forward_proj": "relu"}, "gated feed-forward of 20 where the config has plain"),
        ({"num_layers": 1}, "2 encoder layers where the config has 1 encoder layer[,)]"),
        ({"num_layers": 3}, "2 encoder layers where the config has 3 encoder layers"),
        ({"d_ff": 24}, "gated feed-forward of 20 where the config has gated feed-forward of 24"),
        ({"vocab_size": 176}, "48 embedding rows where the config has 176 embedding rows"),
    ],
)
def test_a_config_that_is_not_the_models_is_refused(directory: Path, changes: Any, message: str):
    change_config(directory, **changes)
    with pytest.raises(UserError, match=message) as error:
        open_whole(directory)
    assert "\n" not in str(error.value)


def test_pickled_weights_are_never_opened(directory: Path):
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(UserError, match=r"pytorch_model.bin would have to be unpickled.*save_pret"):
        open_whole(directory)


def test_a_directory_without_weights_says_so(directory: Path):
    (directory / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"it has no model.safetensors and no model.safetensors.i"):
        open_whole(directory)


def test_a_truncated_file_is_refused(directory: Path):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"model.safetensors: damaged .*; copy them again"):
        open_whole(directory)
