"""Prompt tuning on a stream of unlabelled text, from JSON lines to the score of a likelihood."""

from pathlib import Path

from prompt_tuning.analysis import results
from tests.cli.conftest import entries, launch, prompts, tiny


def run(data_dir: Path, cache_dir: Path, model_dir: Path, steps: int) -> None:
    words = tiny(
        cache_dir,
        model_dir,
        DATA_DIR=str(data_dir),
        MIXTURE_OR_TASK_NAME="c4_prefix_lm",
        TRAIN_STEPS=steps,
        EVAL_PERIOD=40,
    )
    process = launch(
        "train", "--gin_file=runs/train_mini.gin", "--gin_file=prompts/sampled_vocab.gin", *words
    )
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


def test_a_prompt_is_tuned_on_streamed_text(data_dir: Path, cache_dir: Path, tmp_path: Path):
    run(data_dir, cache_dir, tmp_path / "run", 40)
    (row,) = results.read_records(tmp_path / "run" / "results.json")
    assert (row["metric"], row["split"], row["target"]) == (
        "token_probability",
        "validation",
        "c4_prefix_lm",
    )
    assert 0.0 < row["curve"][0][1] < row["score"] < 100.0
    losses = [entry["loss_per_token"] for entry in entries(tmp_path / "run") if "loss" in entry]
    assert losses[-1] < losses[0]
    assert len(prompts(tmp_path / "run")) == 2
