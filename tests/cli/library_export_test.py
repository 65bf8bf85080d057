"""Prompts of a library go out in the formats of other systems, and come back the same."""

import json
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.cli.main import main
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats import registry
from prompt_tuning.transfer.library.library import Library

ARRAY = np.arange(6, dtype=np.float32).reshape(3, 2) / 7
KNOWN = {"name": "rte", "task": "glue_rte", "backbone": "t5_1_1_lm100k_base", "step": "400"}


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """Returns the path of a library of two prompts, beside the working directory."""
    library = Library.create(tmp_path / "library")
    library.add([Prompt(ARRAY, KNOWN).embedded(ARRAY * 2, 10)])
    library.add([Prompt(ARRAY + 1, {"name": "cb", "backbone": "t5_mini"})])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return library.path


def run(*words: str | Path) -> int:
    return main(["library", *map(str, words)])


@pytest.mark.parametrize(
    ("form", "path", "file"),
    [
        ("npy", "rte.npy", "rte.npy"),
        ("peft", "rte", "rte/adapter_model.safetensors"),
        (
            "reference_code",
            "rte",
            "rte/numpy_checkpoints/checkpoint_400/encoder.prompt.prompt.prompt",
        ),
        ("safetensors", "rte.safetensors", "rte.safetensors"),
    ],
)
def test_a_prompt_goes_out_and_comes_back(library, tmp_path, capsys, form, path, file):
    assert run("export", library, "rte", f"--to={path}", f"--format={form}") == 0
    assert capsys.readouterr().out.endswith(f" is in {path} as {form}\n")
    assert Path(file).is_file()
    assert run("import", tmp_path / "other", path) == 0
    [entry] = Library(tmp_path / "other").entries()
    np.testing.assert_array_equal(Library(tmp_path / "other").load(entry).array, ARRAY)
    assert entry.label == "rte"
    if form == "safetensors":
        assert entry.name == Library(library).find("rte").name and entry.has_embedding
    if form == "peft":
        assert entry.backbone == "t5_1_1_lm100k_base"


def test_a_base_model_is_given_for_a_backbone_that_the_hub_does_not_have(library, capsys):
    assert run("export", library, "cb", "--to=cb", "--format=peft") == 2
    assert "give --base_model=NAME" in capsys.readouterr().err
    words = ("--to=cb", "--format=peft", "--base_model=t5_mini_hf")
    assert run("export", library, "cb", *words) == 0
    config = json.loads(Path("cb/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "t5_mini_hf"


def test_bad_input_is_one_line_and_leaves_nothing(library, capsys):
    Path("there").mkdir()
    Path("there/f").touch()
    for words, message in (
        (("rta", "--to=a.npy", "--format=npy"), "no prompt 'rta' (did you mean rte"),
        (("rte", "--to=a.npz", "--format=npz"), "format 'npz' (did you mean"),
        (("rte", "--to=a.pt", "--format=torch_zip"), "use peft, reference_code, npy, safetensors"),
        (("rte", "--to=a.txt", "--format=npy"), "a.txt: a name in this format ends in .npy"),
        (("rte", "--to=a.npy", "--format=safetensors"), "this format ends in .safetensors"),
        (("rte", "--to=there", "--format=peft"), "there: the path exists"),
        (("rte", "--to=a/b.npy", "--format=npy"), "a/b.npy: cannot write it"),
        (("rte", "--to=there/f/b.npy", "--format=npy"), "b.npy: cannot write it (Not a directory"),
        (("rte", "--to=a.npy", "--format=npy", "--base_model=b"), "--base_model has no effect"),
        (("rte", "--to=a"), "the following arguments are required: --format"),
    ):
        assert run("export", library, *words) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    [entry] = [each for each in Library(library).entries() if each.label == "rte"]
    entry.path.write_bytes(entry.path.read_bytes()[:-1])
    assert run("export", library, "rte", "--to=a.npy", "--format=npy") == 2
    assert "damaged" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["there"]


def test_help_shows_every_format(capsys):
    assert run("export", "--help") == 0
    text = capsys.readouterr().out
    assert all(f" {name}: " in text for name in registry.WRITERS) and "torch_zip" not in text
