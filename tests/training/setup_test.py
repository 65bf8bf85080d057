"""The set-up refuses what no model and no data can have."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from benchmarks.pieces import write_vocabulary
from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.training.setup import Setup
from prompt_tuning.types import UserError
from tests.data.user_task.conftest import FREE
from tests.training import toy

NO_FILE = TaskFile(**FREE)
SETTINGS = {
    "backbone": "t5_mini",
    "model": None,
    "vocabulary_file": None,
    "dtype": "bfloat16",
    "param_dtype": "float32",
    "task_modules": (),
    "data_dir": None,
    "task_file": NO_FILE,
    "feature_lengths": {"inputs": 64, "targets": 16},
    "target_prefix": "",
    "cache_dir": "~/cache",
    "shape_count": 4,
}


def _setup(**changes: Any) -> Setup:
    return Setup(**{**SETTINGS, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape_count": 0}, "shape_count must be at least 1, not 0"),
        ({"feature_lengths": {"input": 64}}, "feature lengths are given for input; give them for"),
        ({"feature_lengths": {"inputs": 1, "targets": 16}}, "feature length 1 of inputs"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        _setup(**changes)


def test_the_backbone_computes_in_the_dtype_and_keeps_its_parameters():
    backbone = _setup().open_backbone()
    assert backbone.config.dtype == "bfloat16"
    assert backbone.shapes["token_embedder"]["embedding"].dtype == "float32"
    half = _setup(param_dtype="bfloat16").open_backbone()
    assert half.shapes["token_embedder"]["embedding"].dtype == "bfloat16"
    assert half.digest == backbone.digest
    with pytest.raises(UserError, match=r"no compute dtype 'bfloat61' \(did you mean bfloat16"):
        _setup(dtype="bfloat61").open_backbone()


def test_a_plan_of_a_model_elsewhere_fetches_nothing():
    for backbone in ("gs://bucket/checkpoint_1", "owner/name"):
        outline = _setup(backbone=backbone, model=toy.T5_CONFIG).outline()
        assert outline.config == dataclasses.replace(toy.T5_CONFIG, dtype="bfloat16")
        assert jax.tree.map(np.shape, outline.shapes) == jax.tree.map(np.shape, toy.params())


def test_a_vocabulary_of_another_model_is_refused(tmp_path):
    for pieces in (1096, 900):  # t5_mini has 1,096 rows, of which 16 are sentinels'.
        file = write_vocabulary(tmp_path / "other.model", pieces)
        with pytest.raises(
            UserError, match=rf"other.model is not .* it has {pieces + 16:,} pieces"
        ):
            _setup(vocabulary_file=str(file)).open_backbone()


def test_shapes_cover_every_split(tmp_path):
    task = toy.task(tmp_path)
    longest = max(int(split.inputs.lengths.max()) for split in task.splits.values())
    shapes = _setup(shape_count=2).choose_shapes({"counting": task})
    assert len(shapes) == 2
    assert shapes[-1] == (-(-longest // 4) * 4, 2)
