"""Prompts of other systems come into a library, and say where they are from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.cli.main import main
from prompt_tuning.prompts import files
from prompt_tuning.prompts.files import Prompt
from prompt_tuning.prompts.formats import forms
from prompt_tuning.transfer.library.library import Library
from tests.prompts.formats import torch_files

ARRAY = torch_files.ARRAY
GOLDEN = Path(__file__).parents[1] / "golden"
OURS = {"name": "rte", "task": "glue_rte", "backbone": "t5_mini", "backbone_digest": "ab" * 32}


@pytest.fixture
def library(tmp_path, monkeypatch) -> Path:
    """Returns the path of a library that is not there yet, beside the working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "library"


def run(subcommand: str, *words: str | Path) -> int:
    return main(["library", subcommand, *map(str, words)])


def metadata(library: Path) -> dict[str, dict[str, str]]:
    """Returns the metadata of all prompts by their names."""
    return {entry.label: dict(entry.metadata) for entry in Library(library).entries()}


def test_an_adapter_of_peft_says_its_backbone_and_where_it_is_from(library, capsys):
    shutil.copytree(GOLDEN / "peft_t5_1_0", "sst2")
    assert run("import", library, "sst2", "--task=glue_sst2") == 0
    [entry] = Library(library).entries()
    assert dict(entry.metadata) == {
        "format_version": "1",
        "name": "sst2",
        "task": "glue_sst2",
        "backbone": "hf_t5_1_0",
        "base_model": "hf_t5_1_0",
        "placement": "prefix",
        "prompt_length": "3",
        "hidden_size": "16",
        "imported_from": "peft sst2",
    }
    np.testing.assert_array_equal(Library(library).load(entry).array, forms.read("sst2").array)
    assert (
        f"imported  {entry.name}\n{library}: 1 prompts, 1 of them new\n" == capsys.readouterr().out
    )
    assert run("import", library, "sst2", "--task=glue_sst2") == 0
    assert "1 prompts, 0 of them new" in capsys.readouterr().out


def test_a_directory_of_many_is_imported_whole(library, capsys):
    for task in ("IMDB", "SST2"):
        torch_files.write(Path("emb", f"{task}PromptT5Small", "task_prompt"), torch_files.tensor())
    np.save("emb/mnli.npy", ARRAY)
    files.save("emb/rte.safetensors", Prompt(ARRAY, OURS).embedded(ARRAY * 2, 10))
    Path("emb/notes.txt").write_text("hello")
    assert run("import", library, "emb") == 0
    found = metadata(library)
    assert {name: each.get("task") for name, each in found.items()} == {
        "IMDBPromptT5Small": "IMDB",
        "SST2PromptT5Small": "SST2",
        "mnli": None,
        "rte": "glue_rte",
    }
    assert found["SST2PromptT5Small"]["imported_from"] == "torch_zip emb/SST2PromptT5Small"
    assert found["rte"].items() >= OURS.items() and "imported_from" not in found["rte"]
    assert Library(library).find("rte").has_embedding
    printed = capsys.readouterr().out
    assert "not a prompt  emb/notes.txt\n" in printed and "4 prompts, 4 of them new" in printed


def test_flags_tell_what_files_do_not(library):
    np.save("a.npy", ARRAY)
    words = ("--name=cr", "--task=mini_cr", "--backbone=t5_mini")
    assert run("import", library, "a.npy", *words) == 0
    assert metadata(library)["cr"].items() >= {"task": "mini_cr", "backbone": "t5_mini"}.items()
    shutil.copytree(GOLDEN / "peft_t5_1_0", "sst2")
    assert run("import", library, "sst2", "--backbone=t5_1_0_small") == 0
    assert metadata(library)["sst2"]["backbone"] == "t5_1_0_small"


def test_prompts_are_compared_by_what_is_known_of_their_backbones(library, capsys):
    for name, factor in (("unknown", 1), ("same", -1), ("other", 2)):
        np.save(f"{name}.npy", ARRAY * factor + 1)
    files.save("rte.safetensors", Prompt(ARRAY, OURS))
    assert run("import", library, "rte.safetensors", "unknown.npy") == 0
    assert run("import", library, "same.npy", "--backbone=t5_mini") == 0
    capsys.readouterr()
    assert run("search", library, "--like=rte", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["metadata"]["name"] for line in lines} >= {"unknown", "same"}
    assert run("import", library, "other.npy", "--backbone=t5_1_0_small") == 0
    capsys.readouterr()
    assert run("search", library, "--like=rte") == 2
    error = capsys.readouterr().err
    assert "t5_mini (digest abababababab, width 2)" in error
    assert "other is of t5_1_0_small (digest unknown, width 2)" in error


def test_a_prompt_without_a_name_is_called_as_its_file_is(library, capsys):
    files.save("mine.safetensors", Prompt(ARRAY, OURS | {"name": ""}))
    assert run("import", library, "mine.safetensors") == 0
    assert [entry.label for entry in Library(library).entries()] == ["mine"]


def test_bad_input_is_one_line_and_nothing_is_added(library, capsys):
    np.save("good.npy", ARRAY)
    Path("cut.npy").write_bytes(Path("good.npy").read_bytes()[:-1])
    files.save("rte.safetensors", Prompt(ARRAY, OURS))
    Path("empty").mkdir()
    Path("run/prompts/rte").mkdir(parents=True)
    Path("run/prompts/rte/row.json").write_text("{}")
    Library.create("other").add([Prompt(ARRAY, OURS)])
    Library("other").entries()
    armed = torch_files.call(torch_files.name("os", "system"), torch_files.text("mkdir mark"))
    torch_files.write(Path("armed.pt"), armed)
    for words, message in (
        (("good.npy", "cut.npy"), "cut.npy: damaged"),
        (("good.npy", "absent"), "absent: cannot read it"),
        (("good.npy", "empty"), "empty: there is no prompt in this directory"),
        (("good.npy", "run"), "run: it is the directory of a run"),
        (("good.npy", "other"), "other: it is a library; use prompt-tuning library add"),
        (("good.npy", "armed.pt"), "armed.pt: not read, for its pickle"),
        (("good.npy", "good.npy", "--name=a"), "--name=a is for one prompt, and there are 2"),
        (
            ("good.npy", "rte.safetensors", "--task=mini_cr"),
            "rte.safetensors: its task is glue_rte; leave out --task=mini_cr",
        ),
        (("good.npy", "--tusk=a"), "unknown argument '--tusk' (did you mean --task"),
        ((), "library import --help"),
    ):
        assert run("import", library, *words) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert not library.exists() and not Path("mark").exists()


def test_help_shows_every_form(capsys):
    assert run("import", "--help") == 0
    text = capsys.readouterr().out
    assert all(f"\n  {name} " in text for name in forms.FORMATS)
