"""Forms of prompts: each is known by what it is, and everything at a path is found."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats import forms
from prompt_tuning.types import UserError
from tests.prompts.formats.torch_files import ARRAY, tensor, write

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
    """Returns the path of a prompt in each form."""
    paths = {form: tmp_path / form / name for form, name in PATHS.items()}
    for form, path in paths.items():
        path.parent.mkdir()
        if form == "torch_zip":
            write(path, tensor())
        else:
            forms.write(path, Prompt(ARRAY, KNOWN), form)
    return paths


def test_every_form_is_known_and_read(prompts):
    assert list(prompts) == list(forms.FORMATS)
    for form, path in prompts.items():
        assert forms.form_of(path) == form
        prompt = forms.read(path)
        np.testing.assert_array_equal(prompt.array, ARRAY)
        assert prompt.metadata["name"] == "sst2"
        origin = None if form == "safetensors" else f"{form} {path}"
        assert prompt.metadata.get("imported_from") == origin
    assert forms.read(prompts["safetensors"]).metadata["task"] == "sst2"
    assert forms.read(prompts["npy"]).metadata == {
        "name": "sst2",
        "prompt_length": "3",
        "hidden_size": "2",
        "imported_from": f"npy {prompts['npy']}",
    }


def test_a_task_embedding_goes_with_a_prompt_of_this_project_alone(tmp_path):
    prompt = Prompt(ARRAY, KNOWN).embedded(ARRAY * 2, 10)
    for form in ("safetensors", "npy", "peft", "reference_code"):
        forms.write(tmp_path / PATHS[form], prompt, form)
        found = forms.read(tmp_path / PATHS[form]).embedding
        assert (found is not None) == (form == "safetensors")
        if form == "peft":
            (tmp_path / "sst2").rename(tmp_path / "peft")


def test_a_directory_is_looked_through_in_order(tmp_path, prompts):
    (tmp_path / "matrix.csv").write_text("a,b\n")
    (tmp_path / ".hidden.npy").write_bytes(b"")
    (tmp_path / "npy" / "link").symlink_to(tmp_path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", b"a")
    found, others = forms.find(tmp_path)
    assert found == [prompts[form] for form in sorted(prompts)]
    assert others == [tmp_path / "matrix.csv", tmp_path / "other.zip"]
    assert forms.find(prompts["peft"]) == ([prompts["peft"]], [])
    (tmp_path / "npy" / "cut.npy").write_bytes(b"")
    assert tmp_path / "npy" / "cut.npy" in forms.find(tmp_path)[0]


def test_bad_input_is_one_line(tmp_path, prompts):
    with pytest.raises(UserError, match=r"absent\.npy: cannot read it"):
        forms.read(tmp_path / "absent.npy")
    with pytest.raises(UserError, match=r"this directory is in none of the forms peft \(PEFT's"):
        forms.read(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(UserError, match=r"a\.txt: damaged, or neither"):
        forms.read(tmp_path / "a.txt")
    prompt = Prompt(ARRAY, KNOWN)
    with pytest.raises(UserError, match=r"no form 'torch_zip' .* use peft, reference_code, npy"):
        forms.write(tmp_path / "a.pt", prompt, "torch_zip")
    with pytest.raises(UserError, match=r"no form 'numpy'"):
        forms.write(tmp_path / "a.npy", prompt, "numpy")
    with pytest.raises(UserError, match=r"there is something already"):
        forms.write(prompts["npy"], Prompt(ARRAY * 2, {}), "npy")
    np.testing.assert_array_equal(files.load(prompts["npy"]).array, ARRAY)


@pytest.mark.parametrize("form", ["peft", "reference_code", "npy"])
def test_a_prompt_that_does_not_stand_in_front_goes_out_in_this_projects_form_alone(tmp_path, form):
    behind = Prompt(ARRAY, {**KNOWN, "placement": "suffix_before_eos"})
    with pytest.raises(UserError) as error:
        forms.write(tmp_path / PATHS[form], behind, form)
    for word in ("prompt sst2", "suffix_before_eos", form, "prefix"):
        assert word in str(error.value)
    assert not list(tmp_path.iterdir())
    forms.write(tmp_path / "a.safetensors", behind, "safetensors")
    assert forms.read(tmp_path / "a.safetensors").metadata["placement"] == "suffix_before_eos"
    forms.write(tmp_path / PATHS[form], Prompt(ARRAY, {**KNOWN, "placement": "prefix"}), form)


def test_the_published_prompts_are_all_found(shared_data):
    folder = shared_data / "published_prompts"
    found, others = forms.find(folder)
    assert len(found) == 20 and [path.name for path in others] == ["zero_shot_matrix.csv"]
    assert {forms.read(path).array.shape for path in found} == {(100, 512), (100, 768)}
