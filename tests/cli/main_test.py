"""The console script: help, flags, and exit statuses."""

import errno
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path

import gin
import pytest

from prompt_tuning.cli import commands
from prompt_tuning.cli.commands import Command, with_variants
from prompt_tuning.cli.main import main
from prompt_tuning.prompts import initializers
from prompt_tuning.types import UserError
from tests.cli.conftest import run_listing_modules


def play(*, tune: str, fail: str, dry_run: bool, operative_config: str) -> None:
    """Prints its arguments, or raises what `fail` says."""
    errors = {
        "user": UserError("tune 'x' not found; choose another"),
        "full": OSError(errno.ENOSPC, "No space left on device"),
        "denied": PermissionError(errno.EACCES, "Permission denied", "/root/x"),
        "stop": KeyboardInterrupt(),
        "bug": ZeroDivisionError("a bug"),
    }
    if fail in errors:
        raise errors[fail]
    sys.stdout.write(f"played {tune}, dry_run={dry_run}\n")
    assert "play.tune" in operative_config


def rest() -> None:
    """Declares no flag."""
    raise AssertionError("called")


for function in (play, rest):
    gin.external_configurable(function, module="main_test")

COMMANDS = {
    "play": Command("json", "play", "plays a tune", "prompt-tuning play --gin_file=x.gin"),
    "rest": Command("json", "rest", "rests", "prompt-tuning rest --gin_file=x.gin"),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "defaults.gin").write_text("FAIL = 'no'\nplay.tune = 'a'\nplay.fail = %FAIL\n")
    (tmp_path / "x.gin").write_text("include 'defaults.gin'\n")
    monkeypatch.chdir(tmp_path)
    return lambda *words: main(words, COMMANDS)


def test_a_command_gets_its_arguments_and_flags(run, capsys):
    assert run("play", "--gin_file=x.gin", "--gin.play.tune='b'") == 0
    assert capsys.readouterr().out == "played b, dry_run=False\n"


def test_dry_run_prints_the_configuration_first(run, capsys):
    assert run("play", "--gin_file", "x.gin", "--dry_run") == 0
    out = capsys.readouterr().out
    assert out.index("play.tune = 'a'") < out.index("played a, dry_run=True")


def test_a_command_without_dry_run_is_not_called_in_one(run, capsys):
    assert run("rest", "--gin_file=x.gin", "--dry_run") == 0
    assert capsys.readouterr().out.startswith("# Written by prompt-tuning")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--gin.FAIL='user'"], 2, "prompt-tuning: error: tune 'x' not found; choose another"),
        (["--gin.FAIL='full'"], 2, "prompt-tuning: error: No space left on device; free some"),
        (["--gin.FAIL='denied'"], 2, "prompt-tuning: error: /root/x: Permission denied; choose"),
        (["--gin.FAIL='stop'"], 130, "interrupted; run the same command again to resume"),
        (["--gin.FIAL='no'"], 2, "prompt-tuning: error: --gin.FIAL: nothing uses the macro FIAL"),
        (["--gin_fiel=y"], 2, "prompt-tuning: error: unknown argument '--gin_fiel' (did you mean"),
        (["--gin_file"], 2, "prompt-tuning: error: argument --gin_file: expected one argument"),
        (["--tfds_data_dir=y"], 2, "prompt-tuning: error: --tfds_data_dir: it has no effect on"),
    ],
)
def test_every_failure_is_one_line_and_a_status(run, capsys, words, status, message):
    assert run("play", "--gin_file=x.gin", *words) == status
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_an_unknown_command_and_a_missing_gin_file_are_one_line(run, capsys):
    assert run("plya") == 2
    assert main(["train"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(
        "no command 'plya' (did you mean play?); the commands are play, rest, tasks, library"
    )
    assert lines[1].endswith("train needs --gin_file=FILE; see prompt-tuning train --help")


def test_a_bug_keeps_its_traceback(run):
    with pytest.raises(ZeroDivisionError):
        run("play", "--gin_file=x.gin", "--gin.FAIL='bug'")


def test_a_warning_of_ours_is_one_line(run, monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", None)
    assert run("--help") == 0
    write, advice = warnings.formatwarning, "all 1096 rows"
    assert (
        write(advice, UserWarning, initializers.__file__, 9)
        == f"prompt-tuning: warning: {advice}\n"
    )
    assert (
        write(advice, UserWarning, "/x/y.py", 9, "z") == f"/x/y.py:9: UserWarning: {advice}\n  z\n"
    )


def test_help_lists_the_commands_without_importing_jax():
    code = "import sys; from prompt_tuning.cli.main import main; main(['--help']); "
    code += "sys.exit('jax' in sys.modules or 'gin' in sys.modules)"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "spot" in done.stdout
    assert time.monotonic() - start < 5  # Seconds; about 0.1 on an idle machine.


def test_all_commands_are_there_without_importing_what_few_of_them_need():
    code = """import sys
import prompt_tuning.configurables
print(*{name.partition(".")[0] for name in sys.modules})"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"matplotlib", "scipy", "seqio", "sklearn", "tensorflow", "tensorflow_datasets"}
    assert not slow & set(done.stdout.split())


@pytest.mark.parametrize("cache", ["empty", "filled"])
def test_training_imports_what_it_needs(tmp_path: Path, cache, request):
    directory = request.getfixturevalue("cache_dir") if cache == "filled" else tmp_path / "cache"
    words = ["train", "--gin_file=runs/train_mini.gin", "--gin.MODEL_DIR='x'", "--dry_run"]
    run_listing_modules(tmp_path / "modules", *words, f"--gin.CACHE_DIR='{directory}'")
    modules = json.loads((tmp_path / "modules").read_text())
    ours = {name for name in modules if name.startswith("prompt_tuning")}
    assert len(ours) < 88  # Of about 240.
    others = {command.module for _, command in with_variants(commands.COMMANDS)}
    assert ours & others == {"prompt_tuning.cli.train"}
    mini = {"prompt_tuning.mini", "prompt_tuning.mini.suite"}
    assert {name for name in ours if name.startswith("prompt_tuning.mini")} == (
        mini if cache == "filled" else set()
    )
    rooms = ("analysis", "transfer", "data.datasets", "data.user_task")
    unused = [f"prompt_tuning.{room}" for room in rooms]
    unused += [f"prompt_tuning.models.formats.{form}" for form in ("hub", "hugging_face", "t5x")]
    assert not [name for name in ours if name.startswith(tuple(unused))]
