"""`train` in processes of its own: what it leaves, repeats, resumes and does not import."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.cli.commands import COMMANDS
from tests.cli.conftest import entries, flags, launch, prompts, tiny, tree
from tests.cli.killing import run_with_interruptions

ROWS = ("mini_sst2.class_labels.seed0", "mini_cr.class_labels.seed0")


def test_a_run_leaves_prompts_scores_and_its_configuration(trained: Path):
    assert sorted(prompts(trained)) == sorted(
        f"prompts/{row}/{name}.safetensors" for row in ROWS for name in ("best", "last", "step_3")
    )
    rows = results.read_records(trained / "results.json")
    assert [(row["target"], row["init"], row["steps"]) for row in rows] == [
        ("mini_sst2", "class_labels", 160),
        ("mini_cr", "class_labels", 160),
    ]
    assert [step for step, _ in rows[0]["curve"]] == [0, 3, 40, 80, 120, 160]
    assert "TRAIN_STEPS = 160" in (trained / "operative_config.gin").read_text()
    output = (trained.parent / "output").read_text()
    assert "Scores at" in output and "mini_cr" in output


def _falls(losses: list[float]) -> bool:
    """Says whether losses of all steps end low; single steps of so small batches jump."""
    return 2 * statistics.median(losses[-20:]) < statistics.mean(losses[:8])


def test_the_loss_falls(trained: Path):
    for row in ROWS:
        losses = [e["loss_per_token"] for e in entries(trained) if e["row"] == row and "loss" in e]
        assert len(losses) == 160
        assert _falls(losses)


def test_the_process_imports_neither_tensorflow_nor_seqio(trained: Path):
    modules = set(json.loads((trained.parent / "modules").read_text()))
    assert "prompt_tuning.training.loop" in modules
    assert not modules & {"tensorflow", "tensorflow_datasets", "seqio", "t5", "clu"}


def test_a_dry_run_of_tokenized_tasks_tells_their_padding(
    trained: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    before = tree(trained)
    config = trained / "operative_config.gin"
    assert here("train", f"--gin_file={config}", "--dry_run") == 0
    told = dict(
        line.rsplit("  ", 1) for line in capsys.readouterr().out.splitlines() if "  " in line
    )
    told = {name.strip(): value.strip() for name, value in told.items()}
    assert told["padded lengths, input + target tokens"] == "16+2"
    output = (trained.parent / "output").read_text()
    assert "padded to 16+2 input + target tokens" in output
    share = told["padding, of encoder positions, prompts counted"]
    assert f"{share} of the encoder positions of training were padding" in output
    assert before == tree(trained)


def test_a_second_run_trains_nothing(trained: Path, here: Callable[..., int]):
    before = {name: data for name, data in tree(trained).items() if name != "results.json"}
    config = trained / "operative_config.gin"
    assert here("train", f"--gin_file={config}") == 0
    after = {name: data for name, data in tree(trained).items() if name != "results.json"}
    assert before == after


def test_other_settings_in_the_same_directory_change_nothing(
    trained: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    before = tree(trained)
    config = trained / "operative_config.gin"
    assert here("train", f"--gin_file={config}", "--gin.LEARNING_RATE=0.2") == 2
    assert "of the same name with other settings" in capsys.readouterr().err
    assert tree(trained) == before


def test_killed_runs_of_the_saved_configuration_end_with_the_same_prompts(
    trained: Path, tmp_path: Path
):
    run_with_interruptions("train", trained / "operative_config.gin", tmp_path / "run", seed=0)
    assert prompts(tmp_path / "run") == prompts(trained)

    def known(folder: Path) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in entries(folder))

    assert known(tmp_path / "run") == known(trained)


def test_bfloat16_compute_trains(cache_dir: Path, tmp_path: Path, here: Callable[..., int]):
    words = tiny(
        cache_dir,
        tmp_path / "run",
        COMPUTE_DTYPE="bfloat16",
        TRAIN_STEPS=40,
        EVAL_PERIOD=40,
    )
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 0
    assert _falls([e["loss_per_token"] for e in entries(tmp_path / "run") if e["kind"] == "train"])


def test_a_dry_run_is_quick_and_leaves_nothing(tmp_path: Path):
    began = time.monotonic()
    words = flags(MODEL_DIR=str(tmp_path / "run"), CACHE_DIR=str(tmp_path / "cache"))
    process = launch("train", "--gin_file=runs/train_mini.gin", "--dry_run", *words)
    out, err = process.communicate()
    assert time.monotonic() - began < 10  # Seconds.
    assert (process.returncode, err) == (0, "")
    assert "TRAIN_STEPS = 400" in out and "trainable parameters of a row" in out
    assert not list(tmp_path.iterdir())


def test_the_examples_of_other_commands_name_a_prompt_it_leaves(trained: Path):
    path = f"prompts/{ROWS[0]}/best.safetensors"
    assert (trained / path).is_file()
    assert all(f"/tmp/train/{path}" in COMMANDS[name].example for name in ("eval", "infer"))


def test_targets_with_a_prefix_are_learned_and_answered_without_it(
    cache_dir: Path, tmp_path: Path, here: Callable[..., int]
):
    words = tiny(
        cache_dir,
        tmp_path / "run",
        TARGET_PREFIX="<extra_id_0>",
        INITIAL_CHECKPOINT_PATH="t5_mini",
        TRAIN_STEPS=160,
        EVAL_PERIOD=40,
        LEARNING_RATE=0.1,
    )
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 0
    (row,) = results.read_records(tmp_path / "run" / "results.json")
    assert row["score"] > 60, row["curve"]
