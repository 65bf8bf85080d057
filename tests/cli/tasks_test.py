"""`prompt-tuning tasks`: what it lists, by which words, and how fast."""

import subprocess
import sys
import time

import pytest

from prompt_tuning.cli.main import main
from prompt_tuning.data.datasets.catalog import DATASETS, MIXTURES
from prompt_tuning.mini import suite


@pytest.fixture
def listed(capsys):
    """Returns a function that runs the command and returns its lines, each with single spaces."""

    def run(*words):
        assert main(["tasks", *words]) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return run


def test_every_task_and_mixture_is_listed(listed):
    first = {line.split(" ")[0] for line in listed()}
    names = {name if each.splits else f"{name}_leaderboard" for name, each in DATASETS.items()}
    assert {*names, *MIXTURES, *suite.SUITE, *suite.MIXTURES} <= first


def test_a_line_has_sizes_metrics_source_and_papers(listed):
    lines = listed("glue")
    assert (
        "glue_mrpc 3,668 / 408 / 1,725* f1, accuracy TFDS glue/mrpc:2.0.0 Lester, SPoT, Su" in lines
    )
    axb = "super_glue_axb_leaderboard - / - / 1,104* accuracy TFDS super_glue/axb:1.0.2 SPoT"
    assert axb in lines
    assert "mini_cb 32 / 128 / 256 accuracy shipped" in listed("mini", "inference")
    assert any(line.startswith("glue glue_cola, glue_sst2, glue_mrpc") for line in lines)


def test_a_narrow_terminal_shows_a_task_in_two_lines(capsys, monkeypatch):
    monkeypatch.setattr("prompt_tuning.cli.tasks._PIPED_WIDTH", 80)
    assert main(["tasks", "glue"]) == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    (at,) = [i for i, line in enumerate(lines) if line.startswith("super_glue_wsc  ")]
    assert lines[at].split()[1:6] == ["259", "/", "104", "/", "146*"]
    assert lines[at + 1].split() == ["super_glue/wsc.fixed:1.0.2", "accuracy"]


def test_words_narrow_the_list(listed):
    lines = listed("su", "files")
    assert any(line.startswith("ethics_justice ") for line in lines)
    assert not any(line.startswith(("imdb_reviews ", "cr ", "mini_")) for line in lines)
    lines = listed("spot_nli")
    starts = [line.split(" ")[0] for line in lines]
    assert {"spot_nli", *MIXTURES["spot_nli"].members} <= set(starts)


def test_it_is_told_where_files_are_or_have_to_be(listed, tmp_path):
    data_dir = f"--data_dir={tmp_path}"
    lines = listed("laptop", data_dir)
    assert "laptop 2,241 / 117 / 654 accuracy files Su" in lines
    (note,) = [line for line in lines if line.startswith("laptop: ")]
    assert "with the fields sentence, aspect, label in DATA_DIR/laptop (aspect terms of" in note
    (tmp_path / "laptop").mkdir()
    lines = listed("laptop", data_dir)
    assert f"laptop 2,241 / 117 / 654 accuracy {tmp_path}/laptop Su" in lines
    assert not any(line.startswith("laptop: ") for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["glue_kola"],
            "no task or mixture matches glue_kola (did you mean glue_cola",
        ),
        (["cola", "files"], "no task or mixture matches cola and files"),
        (["--datadir=x"], "unknown argument '--datadir' (did you mean --data_dir?); see "),
        (["--data_dir=nowhere"], "--data_dir=nowhere is not a directory"),
    ],
)
def test_wrong_words_are_one_line(words, message, capsys):
    assert main(["tasks", *words]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"prompt-tuning: error: {message}")
    assert (captured.err.count("\n"), captured.out) == (1, "")


def test_help_shows_examples(listed):
    assert any(line.startswith("prompt-tuning tasks spot_nli") for line in listed("--help"))


def test_it_answers_at_once():
    code = "import sys; from prompt_tuning.cli.main import main; main(['tasks']); "
    code += "sys.exit(any(name in sys.modules for name in ('tensorflow', 'seqio', 'gin')))"
    start = time.monotonic()
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert time.monotonic() - start < 10  # Seconds; about 0.6 on an idle machine.
