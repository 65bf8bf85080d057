"""The documents are true: commands run, links lead somewhere, and names are of what exists."""

import importlib.machinery
import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from prompt_tuning.cli.main import main
from tests.documented import check_complete, commands, python_blocks, run_python, write_files
from tests.layering_test import LEVELS, PACKAGE

ROOT = Path(__file__).parents[1]
DOCS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [
        *(ROOT / "README.md", ROOT / "benchmarks" / "README.md"),
        *sorted((ROOT / "docs").glob("*.md")),
    ]
}
WITH_PYTHON = [name for name, text in DOCS.items() if python_blocks(text)]
COMMANDS = [(name, command) for name, text in DOCS.items() for command in commands(text)]
ELSEWHERE = ("/weights/", "google/", "--library=", "pairs.jsonl", "pooled.gin")
"""Parts of commands that need a file, a library or a download.

`docs_data_test.py` and `cli/docs_*_test.py` make the files and libraries and run those commands.
Settings of the others are checked.
"""

_LINK = re.compile(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)")
_CODE = re.compile(r"`([^`\s]+)`")


def prose(text: str) -> str:
    """Returns a document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns a working directory with the files that commands take."""
    reviews = [f"review {i},{('good', 'bad')[i % 2]}" for i in range(12)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *reviews]))
    rows = [{"first": f"a{i}", "second": "b", "gold": i % 3} for i in range(12)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for text in DOCS.values():
        write_files(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [command for _, command in COMMANDS])
def test_a_command_is_complete(folder: Path, command: str):
    check_complete(command)


@pytest.mark.parametrize("command", [command for _, command in COMMANDS])
def test_a_command_runs_dry(folder: Path, command: str, capsys: pytest.CaptureFixture):
    _, name, *words = shlex.split(command)
    if name == "library" or any(place in command for place in ELSEWHERE):
        return
    dry = [] if name == "tasks" or "--dry_run" in words else ["--dry_run"]
    assert main([name, *words, *dry]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_the_demo_runs_the_command_of_its_page():
    (command,) = commands(DOCS["docs/demo.md"])
    script = (ROOT / "scripts" / "demo").read_text(encoding="utf-8").splitlines()[-1]
    script = script.replace("${MODEL_DIR:-runs/demo}", "runs/demo")
    documented = command.replace("--gin_file=", "--gin_file=configs/")
    assert shlex.split(script) == ["exec", *shlex.split(f".venv/bin/{documented}"), "$@"]


def test_the_pretraining_of_its_page_parses(monkeypatch: pytest.MonkeyPatch):
    (command,) = commands(DOCS["docs/t5_mini.md"], "scripts/pretrain_t5_mini")
    monkeypatch.setenv("XLA_FLAGS", "")  # the script sets it, and the path of imports
    monkeypatch.setattr(sys, "path", [*sys.path])
    path, *words = shlex.split(command)
    loader = importlib.machinery.SourceFileLoader("pretrain", str(ROOT / path))
    spec = importlib.util.spec_from_loader("pretrain", loader)
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    loader.exec_module(script)
    assert script.parse(words).output == "/tmp/t5_mini"


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_the_python_of_a_page_runs(name: str, tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("home")
    compiled = tmp_path_factory.getbasetemp().parent / "compiled"
    compiled.mkdir(exist_ok=True)
    (home / ".cache" / "prompt_tuning").mkdir(parents=True)
    (home / ".cache" / "prompt_tuning" / "compiled").symlink_to(compiled)
    blocks = python_blocks(DOCS[name])
    printed = run_python(blocks, home)
    assert printed.strip() or not any("print(" in block for block in blocks)
    for shown in re.findall(r"^prints\n\n((?:    .*\n)+)", DOCS[name], re.MULTILINE):
        assert " ".join(shown.split()) in " ".join(printed.split())


def test_there_is_python_to_run():
    assert "docs/python.md" in WITH_PYTHON


@pytest.mark.parametrize("name", DOCS)
def test_links_lead_somewhere(name: str):
    for target, heading in _LINK.findall(DOCS[name]):
        path = (ROOT / name).parent / target if target else ROOT / name
        assert path.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [
                re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
            ]


@pytest.mark.parametrize("name", DOCS)
def test_prose_is_broken_at_100_columns(name: str):
    long = [line for line in prose(DOCS[name]).splitlines() if len(line) > 100]
    assert not [line for line in long if not line.startswith(("|", "    ", "!["))]


def test_names_in_the_text_are_of_what_exists():
    paths = [*ROOT.glob("benchmarks/*"), *ROOT.glob("configs/**/*"), *ROOT.glob("tests/**/*")]
    paths += PACKAGE.rglob("*")
    files = "\n".join(f"/{path.relative_to(ROOT).as_posix()}" for path in paths) + "\n"
    configs = "\n".join(path.read_text() for path in (ROOT / "configs").rglob("*.gin"))
    code = "\n".join(path.read_text() for path in paths if path.suffix == ".py")
    absent = []
    for name, text in DOCS.items():
        own = re.findall(r"^# (\S+\.(?:py|gin))$", text, re.MULTILINE)
        for word in set(_CODE.findall(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))) - {
            *own
        }:
            if re.fullmatch(r"[\w/]+\.(py|gin)", word):
                exists = f"/{word}\n" in files
            elif re.fullmatch(r"[A-Z]\w*[a-z]\w*\.\w+", word):
                exists = word in configs or re.search(rf"\b{word.partition('.')[2]}\b", code)
            elif re.fullmatch(r"[A-Z]+_[A-Z_]+", word):
                exists = re.search(rf"\b{word}\b", configs + code)
            else:
                continue
            absent += [] if exists else [f"{name}: {word}"]
    assert not absent


def test_rooms_are_in_the_order_of_their_imports():
    (line,) = [line for line in DOCS["docs/architecture.md"].splitlines() if " < " in line]
    groups = [group.split(", ") for group in line.strip().split(" < ")]
    levels = [{LEVELS[room] for room in group} for group in groups]
    assert [len(level) for level in levels] == [1] * len(levels)
    assert levels == sorted(levels, key=min)
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms <= {room for group in groups for room in group}


def test_the_readme_has_the_commands_it_is_tested_for():
    readme = DOCS["README.md"]
    assert [command.split()[1] for command in commands(readme)] == ["train", "train"]
    assert commands(readme, "scripts/") == ["scripts/demo", "scripts/test"]
    assert len(readme.split()) < 800


def test_there_are_commands_to_test():
    assert len(COMMANDS) > 25
    others = {
        (name, command.split()[0])
        for name, text in DOCS.items()
        for command in commands(text, "")
        if not command.startswith("prompt-tuning")
    }
    assert others == {
        ("README.md", "scripts/demo"),
        ("README.md", "scripts/test"),
        ("docs/demo.md", "scripts/demo"),
        ("docs/t5_mini.md", "scripts/pretrain_t5_mini"),
        ("docs/data.md", "python"),  # docs_data_test.py
        ("benchmarks/README.md", "python"),  # benchmarks/commands_test.py
    }
