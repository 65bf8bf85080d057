"""Every benchmark runs from its flags to its table and JSON, on a model of a few numbers."""

import argparse
import ast
import importlib
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from benchmarks.pieces import write_vocabulary
from prompt_tuning.types import UserError

PEER = os.environ.get("PEER_PYTHON")
PROMPT = ("--model=tiny", "--batch=4", "--prompt=3", "--turns=1")
TINY = (*PROMPT, "--inputs=8", "--targets=3")
FOLDER = Path(benchmarks.__file__).parent
SHOWN = sorted(
    {
        command
        for path in (FOLDER / "README.md", *FOLDER.glob("*.py"))
        for command in re.findall(r"python -m benchmarks\.(\w+[^`\n]*)", path.read_text("utf-8"))
        if "{" not in command
    }
)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the directory whose `compiled/` has the compiled programs of the session."""
    return tmp_path_factory.getbasetemp().parent


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a small CoLA and a vocabulary."""
    folder = tmp_path_factory.mktemp("data")
    write_vocabulary(folder / "numbers.model", 64)
    (folder / "glue_cola").mkdir()
    for split, size in (("train", 40), ("validation", 8)):
        rows = [
            {"sentence": " ".join(map(str, range(1 + i % 9))), "label": i % 2, "idx": i}
            for i in range(size)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "glue_cola" / f"{split}.jsonl").write_text(text)
    return folder


def main(name: str, *words: str | Path) -> int:
    return importlib.import_module(f"benchmarks.{name}").main([str(word) for word in words])


def report_of(tmp_path: Path, name: str, *words: str | Path) -> dict[str, Any]:
    """Runs a benchmark, and returns what it wrote."""
    output = tmp_path / "report.json"
    assert main(name, *words, f"--output={output}") == 0
    return json.loads(output.read_text())


def test_vs_peft_alone(tmp_path, cache_dir, capsys):
    report = report_of(
        tmp_path,
        "vs_peft",
        *TINY,
        "--no_peer",
        "--generated=5",
        "--starts=1",
        "--seconds=0.01",
        f"--cache_dir={cache_dir}",
    )
    assert [line["measure"].split(" (")[0] for line in report["lines"]] == [
        "training step",
        "training step",
        "process start to first step",
        "peak memory of training",
        "generation",
    ]
    assert all(line["ours"] > 0 and line["PEFT"] is None for line in report["lines"])
    assert "PEFT: skipped" in capsys.readouterr().out
    assert report["settings"]["model"] == "tiny"


@pytest.mark.skipif(PEER is None, reason="needs a Python that has PEFT, named by PEER_PYTHON")
def test_vs_peft_beside_peft(tmp_path, cache_dir):
    report = report_of(
        tmp_path,
        "vs_peft",
        *TINY,
        f"--peer_python={PEER}",
        "--generated=5",
        "--starts=1",
        "--seconds=0.01",
        f"--cache_dir={cache_dir}",
    )
    assert all(line["PEFT"] > 0 and line["ratio"] > 0 for line in report["lines"])
    assert report["machine"]["versions"]["peft"].startswith("0.21.")


def test_bank(tmp_path, cache_dir):
    report = report_of(
        tmp_path,
        "bank",
        *TINY,
        "--rows=3",
        "--starts=1",
        "--seconds=0.01",
        f"--cache_dir={cache_dir}",
    )
    [line] = report["lines"]
    assert line["rows"] == 3
    speeds = line["at once (1/s)"], line["one by one (1/s)"]
    assert line["ratio"] == pytest.approx(speeds[0] / speeds[1])
    assert min(line["at once (MB)"], line["one by one (MB)"]) > 50


def test_lengths(tmp_path, cache_dir, data_dir):
    report = report_of(
        tmp_path,
        "lengths",
        *PROMPT,
        "--no_peer",
        "--tasks=glue_cola",
        "--padded_to=32",
        "--sample=1",
        f"--data_dir={data_dir}",
        f"--vocabulary={data_dir / 'numbers.model'}",
        f"--cache_dir={cache_dir}",
    )
    of_task, of_all = report["lines"][:3], report["lines"][3:]
    assert [line["padded"] for line in of_task] == ["to 32", "to the longest", "ours"]
    padding = [line["padding (%)"] for line in of_task]
    assert padding[0] > 50 > max(padding[1:]) and min(padding) > 0
    assert [line["examples/s"] for line in of_all] == [line["examples/s"] for line in of_task]
    assert of_task[2]["ours / this"] == 1.0


def test_roofline(tmp_path, cache_dir):
    report = report_of(
        tmp_path,
        "roofline",
        *TINY,
        "--generated=5",
        "--squares=32,64",
        "--seconds=0.01",
        f"--cache_dir={cache_dir}",
    )
    single, half, training, greedy = report["lines"]
    assert single["activity"].startswith("float32 product ")
    assert half["activity"].startswith("bfloat16 product ")
    for line in (training, greedy):
        assert line["share"] == pytest.approx(line["GFLOP/s"] / single["GFLOP/s"])
        assert line["GFLOP/s"] == pytest.approx(line["GFLOP"] / line["seconds"])


def test_start(tmp_path, cache_dir):
    words = [word for word in TINY if not word.startswith("--turns")]
    report = report_of(
        tmp_path, "start", *words, "--no_peer", "--starts=1", f"--cache_dir={cache_dir}"
    )
    wall, cpu = report["lines"]
    assert wall["measure"] == "process start to first step (s)"
    assert wall["ours"] > 0.5 and cpu["ours"] > 0.5 and wall["PEFT"] is wall["ratio"] is None


def test_a_start_that_fails_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    words = ("--model=tiny", "--no_peer", f"--cache_dir={tmp_path / 'file'}")
    assert main("start", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the run ended early: prompt-tuning: error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("vs_peft", ("--model=smal",), "no model 'smal' (did you mean small?)"),
        ("vs_peft", ("--batch=0",), "'0' is not a positive whole number"),
        ("vs_peft", ("--dropout=2",), "--dropout: 2.0 is not in [0, 1)"),
        ("vs_peft", ("--targets=1",), "use 2 or more"),
        ("vs_peft", ("--seconds=soon",), "'soon' is not a positive number of seconds"),
        ("vs_peft", ("--step=3",), "unknown argument '--step'"),
        ("vs_peft", ("--no_peer", "--output=/no/such/folder/x"), "is not a directory"),
        ("vs_peft", (f"--peer_python={sys.executable}",), "has no torch, transformers and peft"),
        ("vs_peft", ("--peer_python=/no/python",), "has no torch, transformers and peft"),
        ("bank", ("--rows=1,x",), "--rows: 'x' is not a positive whole number"),
        ("roofline", ("--squares=0",), "'0' is not a positive whole number"),
        ("lengths", ("--inputs=8",), "see python -m benchmarks.lengths --help"),
        ("lengths", ("--data_dir=/no/data",), "--data_dir /no/data is not a directory"),
    ],
)
def test_bad_input_is_one_line(name, words, message, capsys):
    assert main(name, *words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1 and printed.err.startswith("error: ")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ("glue_colla", "no task 'glue_colla' (did you mean glue_cola"),
        ("super_glue_rte", "no data of super_glue_rte; put train.jsonl, validation.jsonl"),
    ],
)
def test_tasks_without_data_are_one_line(tasks, message, data_dir, capsys):
    words = (f"--data_dir={data_dir}", f"--vocabulary={data_dir / 'numbers.model'}")
    assert main("lengths", "--model=tiny", f"--tasks={tasks}", *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("name", ["vs_peft", "bank", "lengths", "roofline", "start", "peer"])
def test_help_teaches(name, capsys):
    with pytest.raises(SystemExit) as left:
        main(name, "--help")
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert f"python -m benchmarks.{name}" in text
    assert ("--output" in text) == (name != "peer")


@pytest.mark.parametrize("command", SHOWN)
def test_a_documented_command_parses(command, monkeypatch):
    name, *words = shlex.split(command)
    parsed: list[argparse.Namespace] = []

    def keep(flags: argparse.Namespace) -> None:
        parsed.append(flags)
        raise UserError("only the flags are read here")

    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(module, "find" if name == "peer" else "measure", keep)
    assert main(name, *words) == 2
    assert len(parsed) == 1


def test_an_environment_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main("peer", f"--peer_env={tmp_path / 'file' / 'environment'}") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: cannot make the environment of PEFT in ")
    assert "set --peer_env, --peer_python or --no_peer" in error


def test_the_peer_imports_nothing_of_this_project_but_the_clock():
    def imported(file: str) -> set[str]:
        tree = ast.parse((FOLDER / file).read_text(encoding="utf-8"))
        plain = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        parts = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names = {alias.name for node in plain for alias in node.names}
        return names | {f"{node.module}.{alias.name}" for node in parts for alias in node.names}

    peers = {
        name for name in imported("peft_worker.py") if name.startswith(("benchmarks", "prompt"))
    }
    assert peers == {"benchmarks.turns"}
    standard = {name.partition(".")[0] for name in imported("turns.py")}
    assert standard <= sys.stdlib_module_names
    assert imported("__init__.py") == set()
