"""The reference code's prompt checkpoints: every path to one, and writing."""

import numpy as np
import pytest

from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats.reference_code import (
    is_reference_code,
    read_reference_code,
    write_reference_code,
)
from prompt_tuning.types import UserError

ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2) / 7
FILE = "encoder.prompt.prompt.prompt"


@pytest.fixture
def run(tmp_path):
    """Returns a run with two checkpoints, an unfinished one and a backup."""
    run = tmp_path / "sst2"
    for name, factor in (
        ("checkpoint_900", 1),
        ("checkpoint_1100", 2),
        ("checkpoint_2000.tmp-1690000000", 3),
        ("checkpoint_1100.backup-1690000000.5", 4),
    ):
        folder = run / "numpy_checkpoints" / name
        folder.mkdir(parents=True)
        with (folder / FILE).open("wb") as file:
            np.save(file, ARRAY * factor)
    (run / "numpy_checkpoints" / "checkpoint_3000").mkdir()
    return run


@pytest.mark.parametrize(
    ("path", "step", "factor"),
    [
        ("", "1100", 2),
        ("numpy_checkpoints", "1100", 2),
        ("numpy_checkpoints/checkpoint_900", "900", 1),
        (f"numpy_checkpoints/checkpoint_900/{FILE}", "900", 1),
    ],
)
def test_a_prompt_is_found_from_the_run_down_to_its_file(run, path, step, factor):
    assert is_reference_code(run / path)
    prompt = read_reference_code(run / path)
    np.testing.assert_array_equal(prompt.array, ARRAY * factor)
    assert prompt.metadata == {"name": "sst2", "placement": "prefix", "step": step}


def test_a_file_elsewhere_is_named_for_its_directory(tmp_path):
    (tmp_path / "rte").mkdir()
    np.save(tmp_path / "rte" / "a.npy", ARRAY)
    (tmp_path / "rte" / "a.npy").rename(tmp_path / "rte" / FILE)
    assert read_reference_code(tmp_path / "rte" / FILE).metadata == {
        "name": "rte",
        "placement": "prefix",
    }
    assert read_reference_code(tmp_path / "rte").metadata == {
        "name": "rte",
        "placement": "prefix",
    }


def test_what_is_written_is_numpys_own_format_at_the_step(tmp_path):
    write_reference_code(tmp_path / "run", Prompt(ARRAY.astype(np.float64), {"step": "400"}))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [tmp_path / "run" / "numpy_checkpoints" / "checkpoint_400" / FILE]
    stored = np.load(written[0])
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, ARRAY)
    write_reference_code(tmp_path / "other", Prompt(ARRAY, {}))
    assert read_reference_code(tmp_path / "other").metadata == {
        "name": "other",
        "placement": "prefix",
        "step": "0",
    }


def test_bad_input_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "numpy_checkpoints" / "checkpoint_1").mkdir(parents=True)
    with pytest.raises(UserError, match=r"numpy_checkpoints: it has no checkpoint_<step>/encoder"):
        read_reference_code(tmp_path)
    assert not is_reference_code(tmp_path / "numpy_checkpoints" / "checkpoint_1")
    for prompt, message in (
        (Prompt(ARRAY, {"step": "../../a"}), "not a number of steps"),
        (Prompt(ARRAY * np.nan, {}), "not finite"),
    ):
        with pytest.raises(UserError, match=message):
            write_reference_code(tmp_path / "run", prompt)
    assert [path.name for path in tmp_path.iterdir()] == ["numpy_checkpoints"]
