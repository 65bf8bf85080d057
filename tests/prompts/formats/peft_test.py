"""PEFT's adapters: reading and writing, with the same logits as PEFT."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from jax.sharding import SingleDeviceSharding

from benchmarks.pieces import write_vocabulary
from prompt_tuning.models.family import prompted
from prompt_tuning.models.prompted import Batch
from prompt_tuning.models.weights import open_backbone
from prompt_tuning.prompts.bank import PromptBank
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats.peft import is_peft, read_peft, write_peft
from prompt_tuning.prompts.placement import prefix
from prompt_tuning.types import UserError

PEER = os.environ.get("PEER_PYTHON")
GOLDEN = Path(__file__).parents[2] / "golden"
ADAPTER = GOLDEN / "peft_t5_1_0"
ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2) / 7
NEEDS_PEFT = pytest.mark.skipif(
    PEER is None, reason="needs a Python that has PEFT, named by PEER_PYTHON"
)


@pytest.fixture(scope="module")
def our_logits(tmp_path_factory: pytest.TempPathFactory):
    """Returns a function of a prompt `[P, H]`: our logits, on the model of the golden adapter."""
    folder = tmp_path_factory.mktemp("model") / "hf_t5_1_0"
    shutil.copytree(GOLDEN / "hf_t5_1_0", folder)
    write_vocabulary(folder / "spiece.model", 48, sentinels=5)
    backbone = open_backbone(folder, model=None, vocabulary=None, param_dtype="float32")
    (params,) = backbone.load([SingleDeviceSharding(jax.devices()[0])])
    stored = np.load(folder / "outputs.npz")
    batch = Batch(
        jnp.asarray(stored["tokens"], jnp.int32),
        jnp.asarray(stored["targets"], jnp.int32),
        jnp.zeros(4, jnp.int32),
    )
    model = prompted(backbone.config, prefix)
    return lambda array: jax.jit(functools.partial(model.logits, drop=None))(
        params, PromptBank(jnp.asarray(array)[None]), batch
    )


def peft_does(*words: str | Path) -> None:
    """Runs PEFT in its own environment."""
    assert PEER is not None
    command = [PEER, str(GOLDEN / "make_peft_golden.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def assert_same(ours: jax.Array, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def copied(tmp_path: Path, **changes: Any) -> Path:
    """Returns a copy of the golden adapter with changes to its config; None removes a key."""
    folder = tmp_path / "adapter"
    shutil.copytree(ADAPTER, folder)
    config = {**json.loads((folder / "adapter_config.json").read_text()), **changes}
    kept = {key: value for key, value in config.items() if changes.get(key, 0) is not None}
    (folder / "adapter_config.json").write_text(json.dumps(kept))
    return folder


def with_tensors(folder: Path, **tensors: np.ndarray) -> Path:
    safetensors.numpy.save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


def test_a_prompt_from_peft_gives_its_logits(our_logits):
    prompt = read_peft(ADAPTER)
    assert prompt.array.shape == (3, 16)
    assert prompt.metadata == {
        "name": "peft_t5_1_0",
        "placement": "prefix",
        "backbone": "hf_t5_1_0",
        "base_model": "hf_t5_1_0",
    }
    assert_same(our_logits(prompt.array), np.load(ADAPTER / "logits.npy"))


def test_the_second_half_of_a_tensor_for_two_submodules_is_dropped(tmp_path, our_logits):
    stored = safetensors.numpy.load_file(ADAPTER / "adapter_model.safetensors")
    assert stored["prompt_embeddings"].shape == (6, 16)
    folder = with_tensors(
        copied(tmp_path, num_transformer_submodules=1),
        prompt_embeddings=stored["prompt_embeddings"][:3],
    )
    np.testing.assert_array_equal(read_peft(folder).array, read_peft(ADAPTER).array)
    other = our_logits(stored["prompt_embeddings"][3:])
    assert np.abs(other - np.load(ADAPTER / "logits.npy")).max() > 0.1


def test_a_file_of_the_directory_suffices_and_defaults_of_peft_may_be_missing(tmp_path):
    folder = copied(
        tmp_path, num_transformer_submodules=None, token_dim=None, base_model_name_or_path=None
    )
    for path in (folder, folder / "adapter_model.safetensors", folder / "adapter_config.json"):
        assert is_peft(path)
        prompt = read_peft(path)
        np.testing.assert_array_equal(prompt.array, read_peft(ADAPTER).array)
        assert prompt.metadata == {"name": "adapter", "placement": "prefix"}


def test_half_precision_is_read_and_the_hubs_name_is_translated(tmp_path):
    half = ARRAY.astype(ml_dtypes.bfloat16)
    settings = {"num_virtual_tokens": 3, "num_transformer_submodules": 1, "token_dim": 2}
    folder = copied(tmp_path, **settings, base_model_name_or_path="google/t5-v1_1-base")
    prompt = read_peft(with_tensors(folder, prompt_embeddings=half))
    np.testing.assert_array_equal(prompt.array, half.astype(np.float32))
    assert prompt.array.dtype == np.float32
    assert prompt.metadata["backbone"] == "t5_1_1_base"
    assert prompt.metadata["base_model"] == "google/t5-v1_1-base"


def test_a_written_adapter_has_all_that_peft_needs(tmp_path):
    metadata = {"name": "sst2", "backbone": "t5_1_1_lm100k_base"}
    write_peft(tmp_path / "sst2", Prompt(ARRAY.astype(np.float64), metadata))
    names = sorted(path.name for path in (tmp_path / "sst2").iterdir())
    assert names == ["adapter_config.json", "adapter_model.safetensors"]
    assert json.loads((tmp_path / "sst2" / "adapter_config.json").read_text()) == {
        "base_model_name_or_path": "google/t5-base-lm-adapt",
        "inference_mode": True,
        "num_attention_heads": None,
        "num_layers": None,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": 3,
        "peft_type": "PROMPT_TUNING",
        "prompt_tuning_init": "RANDOM",
        "task_type": "SEQ_2_SEQ_LM",
        "token_dim": 2,
    }
    with safetensors.safe_open(
        tmp_path / "sst2" / "adapter_model.safetensors", framework="numpy"
    ) as file:
        assert list(file.keys()) == ["prompt_embeddings"] and file.metadata() == {"format": "pt"}
        np.testing.assert_array_equal(file.get_tensor("prompt_embeddings"), ARRAY)
    again = read_peft(tmp_path / "sst2")
    np.testing.assert_array_equal(again.array, ARRAY)
    known = {"placement": "prefix", "base_model": "google/t5-base-lm-adapt"}
    assert again.metadata == {**metadata, **known}


def test_a_prompt_whose_base_model_is_not_known_is_not_written(tmp_path):
    for metadata in ({}, {"backbone": "t5_mini"}):
        with pytest.raises(UserError, match=r"give --base_model=NAME") as error:
            write_peft(tmp_path / "a", Prompt(ARRAY, metadata))
        assert metadata.get("backbone", "unknown") in str(error.value)
    with pytest.raises(UserError, match="not finite"):
        write_peft(tmp_path / "a", Prompt(ARRAY * np.nan, {"base_model": "b"}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "LORA"}, "its peft_type is 'LORA'; only PROMPT_TUNING"),
        ({"peft_type": "PREFIX_TUNING"}, "its peft_type is 'PREFIX_TUNING'"),
        ({"peft_type": None}, "its peft_type is None"),
        ({"task_type": "CAUSAL_LM"}, "its task_type is 'CAUSAL_LM'; only SEQ_2_SEQ_LM"),
        (
            {"num_virtual_tokens": 6},
            r"6 virtual tokens x 2 .* of width 16, but .*\[6, 16\]",
        ),
        ({"num_virtual_tokens": None}, "None virtual tokens x 2"),
        ({"num_virtual_tokens": "3"}, "3 virtual tokens x 2"),
        ({"num_transformer_submodules": 1}, "3 virtual tokens x 1 submodules"),
        ({"num_transformer_submodules": 3, "num_virtual_tokens": 2}, "2 virtual tokens x 3"),
        ({"token_dim": 8}, "of width 8"),
    ],
)
def test_an_adapter_of_another_kind_or_shape_is_refused_in_one_line(tmp_path, changes, message):
    folder = copied(tmp_path, **changes)
    with pytest.raises(UserError, match=f"PEFT adapter {folder}: .*{message}") as error:
        read_peft(folder)
    assert "\n" not in str(error.value)


def test_damage_pickles_and_other_tensors_are_refused_in_one_line(tmp_path):
    folder = copied(tmp_path)
    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    stored, text = weights.read_bytes(), config.read_text()

    def refusal() -> str:
        with pytest.raises(UserError) as error:
            read_peft(folder)
        assert str(error.value).startswith(f"PEFT adapter {folder}: ")
        assert "\n" not in str(error.value)
        return str(error.value)

    weights.write_bytes(stored[:-3])
    assert "its adapter_model.safetensors is damaged" in refusal()
    with_tensors(folder, prompt_embeddings=ARRAY[0])
    assert "has shape [2]" in refusal()
    with_tensors(folder, prompt_embeddings=ARRAY, lm_head=ARRAY)
    assert "but has 'lm_head'" in refusal()
    weights.unlink()
    assert "cannot read its adapter_model.safetensors" in refusal()
    (folder / "adapter_model.bin").write_bytes(b"")
    assert "adapter_model.bin would have to be unpickled" in refusal()
    weights.write_bytes(stored)
    for broken in ("", "[]", "{", "[" * 100_000, "\xff"):
        config.write_text(broken, encoding="latin-1")
        assert "its adapter_config.json is damaged" in refusal()
    config.unlink()
    assert "cannot read its adapter_config.json" in refusal()
    config.write_text(text)
    assert read_peft(folder).array.shape == (3, 16)


@NEEDS_PEFT
def test_logits_are_those_of_peft_for_a_prompt_that_it_makes_now(tmp_path, our_logits):
    peft_does("make", tmp_path / "adapter", "num_virtual_tokens=5", "num_transformer_submodules=1")
    peft_does("logits", tmp_path / "adapter", tmp_path / "logits.npy")
    prompt = read_peft(tmp_path / "adapter")
    assert prompt.array.shape == (5, 16)
    assert_same(our_logits(prompt.array), np.load(tmp_path / "logits.npy"))


@NEEDS_PEFT
def test_peft_loads_a_written_adapter_with_our_logits(tmp_path, our_logits):
    array = np.random.default_rng(3).normal(size=(7, 16)).astype(np.float32)
    write_peft(tmp_path / "ours", Prompt(array, {"base_model": str(GOLDEN / "hf_t5_1_0")}))
    peft_does("logits", tmp_path / "ours", tmp_path / "logits.npy")
    assert_same(our_logits(array), np.load(tmp_path / "logits.npy"))
