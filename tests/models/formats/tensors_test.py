"""Tensors of safetensors files, whole and in boxes, against the safetensors library."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from prompt_tuning.models.formats.tensors import open_tensors
from prompt_tuning.models.parameters import read_whole
from prompt_tuning.types import UserError

ARRAYS = {
    "matrix": np.arange(15, dtype=np.float32).reshape(5, 3),
    "half": np.arange(6, dtype=ml_dtypes.bfloat16).reshape(2, 3),
    "vector": np.arange(7, dtype=np.float16),
    "number": np.array(2.5),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save_file(ARRAYS, tmp_path / "weights.safetensors", {"format": "np"})
    return tmp_path / "weights.safetensors"


@pytest.mark.parametrize("name", ARRAYS)
def test_tensors_are_read_whole(file: Path, name: str):
    tensor = open_tensors(file)[name]
    assert tensor.dtype == ARRAYS[name].dtype
    whole = read_whole(tensor, name, np.dtype(np.float32))
    np.testing.assert_array_equal(whole, ARRAYS[name].astype(np.float32))


@pytest.mark.parametrize("index", [np.s_[1:4, :], np.s_[1:4, 1:2], np.s_[2:2, :], np.s_[:, 2:]])
def test_boxes_are_read_by_rows_and_by_columns(file: Path, index: tuple[slice, slice]):
    wanted = ARRAYS["matrix"][index]
    out = np.full(wanted.shape, -1, ml_dtypes.bfloat16)
    open_tensors(file)["matrix"].read_into(index, out)
    np.testing.assert_array_equal(out.astype(np.float32), wanted)


def test_a_file_truncated_after_it_was_opened_is_damaged(file: Path):
    tensors = open_tensors(file)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(
        UserError, match=r"weights.safetensors: damaged \(it ends early\); copy them again"
    ):
        for name, tensor in tensors.items():
            read_whole(tensor, name, np.dtype(np.float32))
