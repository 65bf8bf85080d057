"""`eval` scores prompts in mixed batches as training did."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from tests.cli.conftest import flags, tree

ROWS = ("mini_sst2.class_labels.seed0", "mini_cr.class_labels.seed0")


def _words(cache_dir: Path, model_dir: Path, trained: Path, **bindings) -> list[str]:
    files = tuple(str(trained / "prompts" / row / "best.safetensors") for row in ROWS)
    settings = {
        "CACHE_DIR": str(cache_dir),
        "MODEL_DIR": str(model_dir),
        "PROMPT_FILES": files,
        "Setup__shape_count": 1,
    }
    return ["eval", "--gin_file=runs/train_mini.gin", *flags(**{**settings, **bindings})]


def test_prompts_score_as_they_did_at_the_end_of_training(
    cache_dir: Path, trained: Path, tmp_path: Path, here: Callable[..., int]
):
    assert here(*_words(cache_dir, tmp_path / "run", trained)) == 0
    rows = results.read_records(tmp_path / "run" / "results.json")
    of_training = results.read_records(trained / "results.json")
    for row, wanted in zip(rows, of_training, strict=True):
        kept = ("target", "method", "metric", "score", "seed", "step")
        assert {name: row[name] for name in kept} == {name: wanted[name] for name in kept}
    assert (tmp_path / "run" / "operative_config.gin").read_text().count("PROMPT_FILES = ")


def test_a_prompt_on_another_task_is_zero_shot(
    cache_dir: Path, trained: Path, tmp_path: Path, here: Callable[..., int]
):
    words = _words(
        cache_dir,
        tmp_path / "run",
        trained,
        evaluate__tasks=("mini_cr", "mini_yelp"),
        SPLIT="validation",
    )
    assert here(*words) == 0
    rows = results.read_records(tmp_path / "run" / "results.json")
    assert [(row["source"], row["target"], row["method"]) for row in rows] == [
        ("mini_sst2", "mini_cr", "zero_shot"),
        ("mini_sst2", "mini_yelp", "zero_shot"),
        ("mini_cr", "mini_cr", "prompt_tuning"),
        ("mini_cr", "mini_yelp", "zero_shot"),
    ]
    own = json.loads((trained / "prompts" / ROWS[1] / "row.json").read_text())
    assert rows[2]["score"] == own["validation"]


def test_the_results_of_a_training_run_are_not_overwritten(
    cache_dir: Path,
    trained: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    before = tree(trained)
    assert here(*_words(cache_dir, trained, trained)) == 2
    assert "the results of a training run" in capsys.readouterr().err
    assert tree(trained) == before


def _design_words(cache_dir: Path, model_dir: Path, **bindings) -> list[str]:
    files = ["--gin_file=runs/train_mini.gin", "--gin_file=methods/prompt_design.gin"]
    settings = {"CACHE_DIR": str(cache_dir), "MODEL_DIR": str(model_dir), "PROMPT_TEXT": "label"}
    return ["eval", *files, *flags(**{**settings, **bindings})]


def test_a_written_prompt_is_scored_without_training(
    cache_dir: Path, tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = _design_words(cache_dir, tmp_path / "run", SHOTS=12, MIXTURE_OR_TASK_NAME="mini_cr")
    assert here(*words, "--gin.DECODER=@Rank()") == 0
    (row,) = results.read_records(tmp_path / "run" / "results.json")
    wanted = {"method": "prompt_design", "init": None, "source": None, "seed": 0, "step": None}
    assert wanted.items() <= row.items()
    assert row["score"] > 0
    assert "fewer than 12 examples" in capsys.readouterr().out


def test_a_written_prompt_goes_without_prompt_files(
    cache_dir: Path, tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = _design_words(cache_dir, tmp_path / "run", PROMPT_FILES="best.safetensors")
    assert here(*words) == 2
    assert "excludes PROMPT_FILES" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
