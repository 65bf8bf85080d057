"""Formats of prompts: each is detected, and all prompts at a path are found."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats.registry import (
    FORMATS,
    find_prompts,
    format_of,
    read_prompt,
    write_prompt,
)
from prompt_tuning.types import UserError
from tests.prompts.formats.torch_files import ARRAY, tensor, write_torch_file

KNOWN = {"name": "sst2", "backbone": "t5_1_1_base", "step": "40", "task": "sst2"}
PATHS = {
    "peft": "sst2",
    "reference_code": "sst2",
    "torch_zip": "sst2.pt",
    "npy": "sst2.npy",
    "safetensors": "sst2.safetensors",
}


@pytest.fixture
def prompts(tmp_path) -> dict[str, Path]:
    """Returns the path of a prompt in each format."""
    paths = {format_name: tmp_path / format_name / name for format_name, name in PATHS.items()}
    for format_name, path in paths.items():
        path.parent.mkdir()
        if format_name == "torch_zip":
            write_torch_file(path, tensor())
        else:
            write_prompt(path, Prompt(ARRAY, KNOWN), format_name)
    return paths


def test_every_format_is_detected_and_read(prompts):
    assert list(prompts) == list(FORMATS)
    for format_name, path in prompts.items():
        assert format_of(path) == format_name
        prompt = read_prompt(path)
        np.testing.assert_array_equal(prompt.array, ARRAY)
        assert prompt.metadata["name"] == "sst2"
        origin = None if format_name == "safetensors" else f"{format_name} {path}"
        assert prompt.metadata.get("imported_from") == origin
    assert read_prompt(prompts["safetensors"]).metadata["task"] == "sst2"
    assert read_prompt(prompts["npy"]).metadata == {
        "name": "sst2",
        "prompt_length": "3",
        "hidden_size": "2",
        "imported_from": f"npy {prompts['npy']}",
    }


def test_only_this_projects_format_keeps_a_task_embedding(tmp_path):
    prompt = Prompt(ARRAY, KNOWN).embedded(ARRAY * 2, 10)
    for format_name in ("safetensors", "npy", "peft", "reference_code"):
        write_prompt(tmp_path / PATHS[format_name], prompt, format_name)
        found = read_prompt(tmp_path / PATHS[format_name]).embedding
        assert (found is not None) == (format_name == "safetensors")
        if format_name == "peft":
            (tmp_path / "sst2").rename(tmp_path / "peft")


def test_a_directory_is_searched_in_order(tmp_path, prompts):
    (tmp_path / "matrix.csv").write_text("a,b\n")
    (tmp_path / ".hidden.npy").write_bytes(b"")
    (tmp_path / "npy" / "link").symlink_to(tmp_path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", b"a")
    found, others = find_prompts(tmp_path)
    assert found == [prompts[format_name] for format_name in sorted(prompts)]
    assert others == [tmp_path / "matrix.csv", tmp_path / "other.zip"]
    assert find_prompts(prompts["peft"]) == ([prompts["peft"]], [])
    (tmp_path / "npy" / "cut.npy").write_bytes(b"")
    assert tmp_path / "npy" / "cut.npy" in find_prompts(tmp_path)[0]


def test_bad_input_is_one_line(tmp_path, prompts):
    with pytest.raises(UserError, match=r"absent\.npy: cannot read it"):
        read_prompt(tmp_path / "absent.npy")
    with pytest.raises(UserError, match=r"this directory is in none of the formats peft \(PEFT's"):
        read_prompt(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(UserError, match=r"a\.txt: damaged, or neither"):
        read_prompt(tmp_path / "a.txt")
    prompt = Prompt(ARRAY, KNOWN)
    with pytest.raises(UserError, match=r"format 'torch_zip'.* use peft, reference_code, npy"):
        write_prompt(tmp_path / "a.pt", prompt, "torch_zip")
    with pytest.raises(UserError, match=r"format 'numpy'"):
        write_prompt(tmp_path / "a.npy", prompt, "numpy")
    with pytest.raises(UserError, match=r"exists already"):
        write_prompt(prompts["npy"], Prompt(ARRAY * 2, {}), "npy")
    np.testing.assert_array_equal(files.load(prompts["npy"]).array, ARRAY)


@pytest.mark.parametrize("format_name", ["peft", "reference_code", "npy"])
def test_only_this_projects_format_has_a_placement_other_than_prefix(tmp_path, format_name):
    behind = Prompt(ARRAY, {**KNOWN, "placement": "suffix_before_eos"})
    with pytest.raises(UserError) as error:
        write_prompt(tmp_path / PATHS[format_name], behind, format_name)
    for word in ("prompt sst2", "suffix_before_eos", format_name, "prefix"):
        assert word in str(error.value)
    assert not list(tmp_path.iterdir())
    write_prompt(tmp_path / "a.safetensors", behind, "safetensors")
    assert read_prompt(tmp_path / "a.safetensors").metadata["placement"] == "suffix_before_eos"
    write_prompt(
        tmp_path / PATHS[format_name], Prompt(ARRAY, {**KNOWN, "placement": "prefix"}), format_name
    )


def test_the_published_prompts_are_all_found(shared_data):
    folder = shared_data / "published_prompts"
    found, others = find_prompts(folder)
    assert len(found) == 20 and [path.name for path in others] == ["zero_shot_matrix.csv"]
    assert {read_prompt(path).array.shape for path in found} == {(100, 512), (100, 768)}
