"""`prompt-tuning library`: its subcommands, what they print, and how they fail."""

import json
import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning.cli.library import build_parser
from prompt_tuning.cli.main import main
from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.library import Library


def prompt(name, first, **changes):
    """Returns a prompt `[2, 2]` whose tokens are both `[first, 1]`."""
    described = {
        "task": "mini_sst2",
        "backbone": "t5_mini",
        "backbone_digest": "ab" * 32,
        "step": 400,
        "seed": 0,
        "init": "class_labels",
        "metrics": {"validation": 90.0 + first, "f1": 50 - first},
        "created": "2026-01-01T00:00:00Z",
    }
    return files.describe(np.array([[first, 1.0]] * 2), name=name, **(described | changes))


@pytest.fixture
def path(tmp_path):
    """Returns the path of a library of three prompts; `c` was tuned from `b`, and `b` from `a`."""
    a, b = prompt("a", 0), prompt("b", 1)
    b = prompt("b", 1, init=files.digest(a.array), task="mini_mnli")
    c = prompt("c", 2, init=files.digest(b.array)).embedded(np.array([[-1, 1]] * 2), step=10)
    Library.create(tmp_path / "library").add([a, b, c])
    return tmp_path / "library"


@pytest.fixture
def run(capsys):
    """Returns a function that runs a subcommand and returns its lines, each with single spaces."""

    def run(*words, status=0):
        assert main(["library", *map(str, words)]) == status
        captured = capsys.readouterr()
        assert status or not captured.err
        return [" ".join(line.split()) for line in (captured.out + captured.err).splitlines()]

    return run


def ids(path):
    return {entry.label: entry.content[:8] for entry in Library(path).entries()}


def test_the_list_is_a_line_for_each_prompt(path, run):
    known = ids(path)
    heads, _, *lines = run("list", path)
    assert heads == "id name task backbone size step embedding validation"
    assert lines == [
        f"{known['a']} a mini_sst2 t5_mini 2 x 2 400 - 90.0",
        f"{known['b']} b mini_mnli t5_mini 2 x 2 400 - 91.0",
        f"{known['c']} c mini_sst2 t5_mini 2 x 2 400 10 92.0",
    ]


def test_a_placement_that_is_not_in_front_is_shown(path, run):
    prompts = [
        prompt("behind", 3, placement="suffix_after_eos"),
        prompt("front", 4, placement="prefix"),
    ]
    Library(path).add(prompts)
    lines = run("list", path)
    (behind,) = [line for line in lines if "behind" in line]
    assert "2 x 2 suffix_after_eos 400" in behind
    assert not any("prefix" in line for line in lines)
    assert "placement suffix_after_eos" in run("show", path, "behind")
    (line,) = run("verify", path)
    assert line.endswith("5 prompts, all whole, 1 of them suffix_after_eos")


@pytest.mark.parametrize(
    ("flags", "listed"),
    [
        (["--task=mini_sst2"], "ac"),
        (["--backbone=t5_mini", "--at_least=91"], "bc"),
        (["--backbone=abab", "--metric=validation"], "cba"),
        (["--metric=f1", "--at_least=48.5"], "ab"),
    ],
)
def test_flags_choose_prompts(path, run, flags, listed):
    lines = run("list", path, *flags, "--json")
    assert "".join(json.loads(line)["metadata"]["name"] for line in lines) == listed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--task=mini_sst"], "has no prompt with the task 'mini_sst' (did you mean mini_sst2"),
        (["--backbone=t5_base"], "has no prompt with the backbone 't5_base'"),
        (["--metric=f2"], "has no prompt with the metric 'f2' (did you mean f1?)"),
        (["--metric=f1", "--at_least=60"], "has no prompt that matches all flags; leave some"),
        (["--at_least=x"], "argument --at_least: invalid float value: 'x'"),
        (["--taks=x"], "unknown argument '--taks' (did you mean --task,"),
    ],
)
def test_flags_that_fit_nothing_are_told(path, run, flags, message):
    (line,) = run("list", path, *flags, status=2)
    assert message in line


def test_json_has_everything(path, run):
    entry = Library(path).find("c")
    *_, line = run("list", path, "--json")
    assert json.loads(line) == {
        "id": entry.name,
        "path": str(entry.path),
        "digest": entry.digest,
        "shape": [2, 2],
        "has_embedding": True,
        "metadata": {**entry.metadata},
        "metrics": {"f1": 48.0, "validation": 92.0},
    }


def test_a_narrow_terminal_shows_a_prompt_in_three_lines(path, capsys, monkeypatch):
    monkeypatch.setattr("prompt_tuning.cli.library_lines._PIPED_WIDTH", 60)
    name = "mini_sst2.class_labels.seed12345"
    Library(path).add([prompt(name, 5)])
    assert main(["library", "search", str(path), "--like=a"]) == 0
    assert main(["library", "show", str(path), name]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    (at,) = [i for i, line in enumerate(lines) if line.split()[1:] == [name, "95.0"]]
    assert lines[at + 1].split() == ["mini_sst2", "0.196"]
    assert lines[at + 2].split() == ["t5_mini,", "2", "x", "2"]


def test_a_long_list_is_whole_and_aligned(tmp_path, run, capsys, monkeypatch):
    monkeypatch.setattr("prompt_tuning.cli.library_lines._MOST_WRAPPED", 1)
    Library.create(tmp_path).add([prompt("a", 0), prompt("long" * 40, 1, metrics={})])
    known = ids(tmp_path)
    assert main(["library", "list", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{known['a']}  {'a':<160}  mini_sst2  t5_mini   2 x 2  400   -{'90.0':>20}"
    assert lines[2].startswith(f"{known['long' * 40]}  {'long' * 40}  mini_sst2  t5_mini   2 x 2")
    assert [line.split()[-1] for line in lines] == ["validation", "90.0", "-"]


def test_a_search_ranks_the_others(path, run):
    def ranking(*flags):
        lines = [json.loads(line) for line in run("search", path, *flags, "--json")]
        return [(line["metadata"]["name"], round(line["similarity"], 3)) for line in lines]

    # c is known by its embedding, both of whose tokens are [-1, 1].
    assert ranking("--like=a") == [("b", 0.707), ("c", 0.707)]
    assert ranking("--like=b") == [("a", 0.707), ("c", 0.0)]
    assert ranking("--like=c", "--similarity=per_token", "--top=1") == [("a", 0.707)]
    assert ranking("--like=b", "--task=mini_sst2", "--at_least=92") == [("c", 0.0)]
    files.save(path.parent / "like.npy", files.Prompt(np.array([[-2.0, 2.0]], np.float32), {}))
    like = f"--like={path.parent / 'like.npy'}"
    assert ranking(like) == [("c", 1.0), ("a", 0.707), ("b", 0.0)]
    *_, line = run("search", path, like, "--top=1")
    assert line == f"{ids(path)['c']} c mini_sst2 t5_mini 2 x 2 400 10 92.0 1.000"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--like=d"], "has no prompt 'd'"),
        (["--like="], "the name of a prompt is empty"),
        (["--like=a", "--similarity=cos"], "no similarity 'cos'; use mean_token or per_token"),
        (["--like=a", "--top=0"], "--top=0: give 1 or more"),
        (["--like=b", "--task=mini_mnli"], "has no prompt to compare with 'b'"),
        ([], "the following arguments are required: --like"),
    ],
)
def test_a_search_for_nothing_is_told(path, run, words, message):
    (line,) = run("search", path, *words, status=2)
    assert message in line


def test_prompts_of_two_backbones_are_not_compared(path, run):
    other = {"backbone": "t5_base", "backbone_digest": "cd" * 32}
    Library(path).add([prompt("other", 3, **other)])
    (line,) = run("search", path, "--like=a", status=2)
    assert line.startswith(
        "prompt-tuning: error: prompt a is of t5_mini (digest abababababab, width 2), but prompt "
        "other is of t5_base (digest cdcdcdcdcdcd, width 2): they cannot be compared"
    )
    assert len(run("search", path, "--like=a", "--backbone=t5_mini", "--json")) == 2


def test_show_tells_metadata_and_provenance(path, run):
    library = Library(path)
    a, b, c = library.entries()
    lines = run("show", path, "c")
    for line in (f"id {c.name}", f"digest {c.digest}", "task mini_sst2", "embedding after step 10"):
        assert line in lines
    assert "metrics f1 48, validation 92" in lines
    at = lines.index("provenance task step") + 2
    assert lines[at:] == [
        f"{c.name} mini_sst2 400",
        f"{b.name} mini_mnli 400",
        f"{a.name} mini_sst2 400",
        "The last prompt started from: class_labels.",
    ]
    a.path.unlink()
    assert run("show", path, "c")[-1] == (
        f"The last prompt started from: {a.digest}, which is not in this library."
    )
    (line,) = run("show", path, c.content[:8], "--json")
    assert json.loads(line)["provenance"] == {
        "sources": [b.name],
        "start": a.digest,
        "end": "absent",
    }


def test_what_a_file_says_does_not_steer_the_terminal(tmp_path, capsys):
    Library.create(tmp_path).add([prompt("a\x1b[31m[bold]\n", 0, task="\x07")])
    assert main(["library", "list", str(tmp_path)]) == 0
    assert main(["library", "show", str(tmp_path), "a"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and out.count("a?[31m[bold]?") == 3


def test_add_takes_files_and_says_what_is_new(path, run, tmp_path):
    files.save(tmp_path / "d.safetensors", prompt("d", 3))
    files.save(tmp_path / "a.safetensors", prompt("a", 0))
    known = {entry.label: entry.name for entry in Library(path).entries()}
    lines = run("add", path, tmp_path / "d.safetensors", tmp_path / "a.safetensors")
    added = Library(path).find("d").name
    assert lines == [
        f"added {added}",
        f"there already {known['a']}",
        f"{path}: 4 prompts, 1 of them new",
    ]


@pytest.fixture
def model_dir(tmp_path):
    """Returns the directory of a run of two rows, one of them finished."""
    for i, row in enumerate(("mini_rte.seed0", "mini_rte.seed1")):
        folder = tmp_path / "run" / "prompts" / row
        folder.mkdir(parents=True)
        files.save(folder / "best.safetensors", prompt(row, i))
        files.save(folder / "step_100.safetensors", prompt(row, i + 10, step=100))
    (tmp_path / "run" / "prompts" / "mini_rte.seed1" / "row.json").write_text("{}")
    return tmp_path / "run"


def test_add_takes_the_best_prompts_of_finished_rows(tmp_path, run, model_dir):
    run("add", tmp_path / "new", model_dir)
    (entry,) = Library(tmp_path / "new").entries()
    assert (entry.label, entry.has_embedding) == ("mini_rte.seed1", False)
    run("add", tmp_path / "keyed", model_dir, "--embedding_step=100")
    library = Library(tmp_path / "keyed")
    found = library.load(library.find("mini_rte.seed1"))
    assert found.metadata["embedding_step"] == "100" and found.metadata["step"] == "400"
    np.testing.assert_array_equal(found.array, [[1, 1], [1, 1]])
    np.testing.assert_array_equal(found.embedding, [[11, 1], [11, 1]])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--embedding_step=50"], "step_50.safetensors: it does not exist"),
        (["run/prompts"], "no row of a run has finished here; give a MODEL_DIR, or prompt files"),
        (["other_library"], "it is a library; give its files, other_library/prompts/*.safe"),
        (["nothing.safetensors"], "nothing.safetensors: cannot read it"),
        (
            ["bare.npy"],
            "does not record its name, task and backbone; use prompt-tuning library import",
        ),
        (["run", "damaged.safetensors"], "damaged.safetensors: damaged"),
        (
            ["other/best.safetensors", "--embedding_step=9"],
            "step_9.safetensors: it does not exist; give a step of train.save_steps",
        ),
        (["other/best.safetensors", "--embedding_step=100"], "is not of the same row as best"),
        ([], "the following arguments are required: path"),
    ],
)
def test_add_adds_nothing_where_something_is_wrong(
    tmp_path, run, model_dir, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    files.save("bare.npy", prompt("", 0))
    (tmp_path / "damaged.safetensors").write_text("x")
    Library.create("other_library").add([prompt("a", 0)])
    (tmp_path / "other").mkdir()
    files.save("other/best.safetensors", prompt("a", 0))
    files.save("other/step_100.safetensors", prompt("b", 0))
    (line,) = run("add", "library", *words, status=2)
    assert message in line and not (tmp_path / "library").exists()


def test_a_search_that_leaves_damaged_prompts_alone_is_told(path, run):
    library = Library(path)
    run("list", path)
    for name in ("b", "c"):
        library.find(name).path.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged, or gone"):
        (line,) = run("search", path, "--like=a", status=2)
    assert line.endswith("all other prompts are damaged or missing")


def test_metrics_that_are_nested_too_deep_are_left_out(tmp_path, run):
    Library.create(tmp_path).add([prompt("a", 0), prompt("b", 1)])
    deep = files.Prompt(np.eye(2), {**prompt("c", 2).metadata, "metrics": "[" * 100_000})
    Library(tmp_path).add([deep])
    assert [line.split()[-1] for line in run("list", tmp_path)[2:]] == ["90.0", "91.0", "-"]


def test_an_empty_library_and_none_are_told(tmp_path, run):
    (line,) = run("list", "", status=2)
    assert line == "prompt-tuning: error: the path of the library is empty; give its directory"
    Library.create(tmp_path / "empty")
    for words in (["list"], ["search", "--like=a"]):
        (line,) = run(words[0], tmp_path / "empty", *words[1:], status=2)
        assert f"library {tmp_path / 'empty'} has no prompts; prompt-tuning library add" in line
    assert run("verify", tmp_path / "empty") == [f"{tmp_path / 'empty'}: 0 prompts, all whole"]
    for name in ("list", "verify"):
        (line,) = run(name, tmp_path / "none", status=2)
        assert f"there is no library at {tmp_path / 'none'}; prompt-tuning library add" in line


def test_a_damaged_file_is_named_and_the_others_are_shown(path, run):
    run("list", path)
    entry = Library(path).find("b")
    entry.path.write_bytes(entry.path.read_bytes()[:-3])
    with pytest.warns(UserWarning, match=f"{entry.name}.*it is left out"):
        lines = [json.loads(line) for line in run("list", path, "--json")]
    assert [line["metadata"]["name"] for line in lines] == ["a", "c"]
    with pytest.warns(UserWarning, match=entry.name):
        (line,) = run("search", path, "--like=a", "--top=1", "--json")
    assert json.loads(line)["metadata"]["name"] == "c"
    problem, line = run("verify", path, status=2)
    assert problem.startswith(f"prompt file {entry.path}: damaged")
    assert line.endswith(f"library {path}: 1 problem, named above; the other prompts are whole")
    assert entry.path.exists()


def test_verify_is_content_with_a_whole_library(path, run):
    assert run("verify", path) == [f"{path}: 3 prompts, all whole"]


@pytest.mark.parametrize("name", build_parser()[1])
def test_every_subcommand_has_help_with_an_example(name, run):
    lines = run(name, "--help")
    assert lines[0].startswith(f"usage: prompt-tuning library {name} ")
    assert sum(line.startswith(f"prompt-tuning library {name} ") for line in lines) >= 1
    assert any(line.startswith("-h, --help ") for line in lines)
    overview = run()
    assert any(line.startswith(f"{name} ") for line in overview)
    assert any(line.startswith(f"prompt-tuning library {name} ") for line in overview)
    assert overview == run("--help") == run("help")


def test_every_flag_says_what_it_means():
    parser, names = build_parser()
    (each,) = [action.choices for action in parser._actions if action.choices]
    actions = [(name, action) for name in names for action in dict(each)[name]._actions]
    assert [(name, action.dest) for name, action in actions if not action.help] == []


def test_an_unknown_subcommand_is_told(run):
    (line,) = run("lsit", status=2)
    assert "library has no subcommand 'lsit' (did you mean list?); it has add, list, " in line


def test_a_library_is_searched_without_jax(path):
    code = "import sys; from prompt_tuning.cli.main import main; "
    code += f"assert main(['library', 'search', {str(path)!r}, '--like=a']) == 0; "
    code += "sys.exit(any(name in sys.modules for name in ('jax', 'tensorflow', 'matplotlib')))"
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
