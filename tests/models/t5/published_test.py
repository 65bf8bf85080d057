"""The configs of the published models: shapes are golden, counts are the published ones."""

import json
from typing import Any

import numpy as np
import pytest

from prompt_tuning.cli import command_config, convert, gin_config, gin_files  # noqa: F401
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.formats.hugging_face_names import is_transposed, stored_name
from prompt_tuning.models.t5.config import T5Config
from tests.models.conftest import GOLDEN

SHAPES = json.loads((GOLDEN / "hf_shapes.json").read_text())
COUNTS = {
    "t5_1_0_small": 60_506_624,
    "t5_1_0_base": 222_903_552,
    "t5_1_0_large": 737_668_096,
    "t5_1_0_3b": 2_851_598_336,
    "t5_1_0_11b": 11_307_321_344,
    "t5_1_1_small": 76_961_152,
    "t5_1_1_base": 247_577_856,
    "t5_1_1_large": 783_150_080,
    "t5_1_1_xl": 2_849_757_184,
    "t5_1_1_xxl": 11_135_332_352,
    "mt5_small": 300_176_768,
    "mt5_base": 582_401_280,
    "mt5_large": 1_229_581_312,
    "mt5_xl": 3_742_619_648,
    "mt5_xxl": 12_921_057_280,
}
ADAPTED = [f"t5_1_1_lm100k_{size}" for size in ("small", "base", "large", "xl", "xxl")]


def arguments(name: str) -> dict[str, Any]:
    """Returns what `convert` is called with for a config of a model, and its step offset."""
    files, changes = [f"models/{name}.gin"], ["CONVERT_TO='nowhere'"]
    config = command_config.read_command_config("convert", COMMANDS["convert"], files, changes, [])
    offset = config.bindings[gin_files.Key("", "Adafactor", "step_offset")].value
    return {**gin_config.build_arguments(config, "convert"), "step_offset": offset}


def model(name: str) -> T5Config:
    return arguments(name)["setup"].model


@pytest.mark.parametrize("name", COUNTS)
def test_shapes_and_counts_are_the_published_ones(name: str):
    config = model(name)
    found = parameter_shapes(config)
    golden = dict(SHAPES[name])
    for ours, shape in found.items():
        theirs = stored_name(ours)
        first = golden[".".join("0" if p.isdigit() and i == 2 else p for i, p in _parts(theirs))]
        assert list(shape) == (first[::-1] if is_transposed(ours) else first), ours
    assert {stored_name(ours) for ours in found} >= golden.keys()
    assert sum(int(np.prod(shape)) for shape in found.values()) == COUNTS[name]
    assert (config.name, config.relative_buckets, config.relative_max_distance) == (name, 32, 128)


def _parts(name: str) -> list[tuple[int, str]]:
    """Returns the parts of a name with their places: the layer is the third."""
    return list(enumerate(name.split(".")))


@pytest.mark.parametrize("name", ADAPTED)
def test_an_adapted_model_is_t5_1_1_of_its_size(name: str):
    config = model(name)
    plain = model(name.replace("_lm100k", ""))
    assert config.name == name
    assert [getattr(config, field) for field in ("emb_dim", "mlp_dim", "num_heads")] == [
        getattr(plain, field) for field in ("emb_dim", "mlp_dim", "num_heads")
    ]
    assert parameter_shapes(config) == parameter_shapes(plain)


@pytest.mark.parametrize("name", [*COUNTS, *ADAPTED])
def test_the_optimizer_goes_on_from_the_step_of_the_checkpoint(name: str):
    given = arguments(name)
    path = given["setup"].backbone
    assert path.startswith("gs://t5-data/pretrained_models/t5x/")
    assert path.endswith(f"/checkpoint_{given['step_offset']}")
    assert given["setup"].vocabulary_file.startswith("gs://t5-data/vocabs/")
