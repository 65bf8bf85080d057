"""Tuned prompts on disk: which rows are finished, and what their files say."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.prompts import files
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.starts import FromRow
from prompt_tuning.training.tuned_prompts import TunedPrompts
from prompt_tuning.types import UserError
from tests.training import toy

BEST = np.full((3, 16), 0.5, np.float32)


def _prompts(folder: Path, rows: list[Row], **changes: Any) -> TunedPrompts:
    return TunedPrompts(rows, toy.work(folder), toy.config(**changes))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Returns a folder where row `a` is finished, best after 4 of 12 steps."""
    prompts = _prompts(tmp_path, [toy.row("a")])
    progress = Progress(step=4, seconds=2.5)
    progress.record(progress.step, 75.0)
    prompts.save(toy.row("a"), "best", BEST, progress)
    progress.step = 12
    progress.record(progress.step, 50.0)
    prompts.finish(toy.row("a"), 2 * BEST, BEST, progress, {"accuracy": 70.0, "score": 70.0})
    return tmp_path


def test_a_finished_row_is_known_again_with_its_result(finished: Path):
    assert _prompts(finished, [toy.row("a")]).finished["a"].result() == {
        "backbone": "toy",
        "method": "prompt_tuning",
        "init": "sampled_vocab",
        "source": None,
        "target": "counting",
        "seed": 0,
        "metric": "accuracy",
        "split": "test",
        "score": 70.0,
        "step": 4,
        "steps": 12,
        "curve": [[4, 75.0], [12, 50.0]],
        "seconds": 2.5,
    }


def test_a_prompt_file_says_where_it_comes_from(finished: Path):
    prompt = files.load(finished / "run" / "prompts" / "a" / "best.safetensors")
    frozen = toy.backbone()
    wanted = {
        "name": "a",
        "task": "counting",
        "backbone": "toy",
        "backbone_digest": frozen.digest,
        "prompt_length": "3",
        "hidden_size": "16",
        "step": "4",
        "seed": "0",
        "init": "sampled_vocab",
        "metrics": '{"validation": 75.0}',
        "placement": "prefix",
        "target_prefix": "",
        "label_words": '["5", "6"]',
        "feature_lengths": '{"inputs": 16, "targets": 2}',
        "compute_dtype": "float32",
        "param_dtype": "float32",
    }
    assert wanted.items() <= prompt.metadata.items()
    np.testing.assert_array_equal(prompt.array, BEST)
    assert "input_template" not in prompt.metadata


def test_a_prompt_file_says_what_the_prompt_is_used_with(tmp_path: Path):
    own = dataclasses.replace(toy.task(tmp_path, "own"), template="review: {text}")
    odd = with_target_prefix(own, "30 31", toy.Digits())  # pyright: ignore[reportArgumentType]
    work = toy.work(tmp_path, tasks={"own": odd})
    row, progress = toy.row("a", task="own"), Progress(step=4)
    progress.record(4, 75.0)
    placed = toy.config(placement="suffix_before_eos")
    TunedPrompts([row], work, placed).save(row, "best", BEST, progress)
    metadata = files.load(tmp_path / "run" / "prompts" / "a" / "best.safetensors").metadata
    wanted = {
        "placement": "suffix_before_eos",
        "target_prefix": "30 31",
        "input_template": "review: {text}",
        "feature_lengths": '{"inputs": 16, "targets": 2}',
    }
    assert wanted.items() <= metadata.items()


@pytest.mark.parametrize("damage", ["row.json", "best.safetensors", "another prompt"])
def test_a_row_with_a_damaged_file_is_not_finished(finished: Path, damage: str):
    folder = finished / "run" / "prompts" / "a"
    if damage == "another prompt":
        (folder / "last.safetensors").rename(folder / "best.safetensors")
    else:
        content = (folder / damage).read_bytes()
        (folder / damage).write_bytes(content[: len(content) // 2])
    assert not _prompts(finished, [toy.row("a")]).finished


def test_how_often_things_are_logged_changes_no_result(finished: Path):
    changes = {"eval_batch_size": 3, "log_period": 1, "checkpoint_period": 1}
    assert _prompts(finished, [toy.row("a")], **changes).finished
    with pytest.raises(UserError, match=r"prompts/a' holds a prompt of the same name with other"):
        _prompts(finished, [toy.row("a")], prompt_length=4)


def test_the_digest_of_a_transferred_row_follows_its_source(tmp_path: Path):
    other = toy.row("a", schedule=dataclasses.replace(toy.SCHEDULE, steps=3))
    spot = toy.row("b", start=FromRow("a"))
    first, second = (_prompts(tmp_path, [source, spot]) for source in (toy.row("a"), other))
    assert first.finished.digest(spot) != second.finished.digest(spot)


def test_rows_that_wait_for_each_other_or_for_nothing_are_refused(tmp_path: Path):
    circle = [toy.row("a", start=FromRow("b")), toy.row("b", start=FromRow("a"))]
    with pytest.raises(UserError, match=r"row '[ab]' waits for itself"):
        _prompts(tmp_path, circle)
    alone = toy.row("a", start=FromRow("sourec"))
    with pytest.raises(UserError, match="row 'a' starts from 'sourec', no row"):
        _prompts(tmp_path, [alone])


def test_the_outcome_on_disk_is_plain_json(finished: Path):
    row = json.loads((finished / "run" / "prompts" / "a" / "row.json").read_text())
    assert row["best"] == files.digest(BEST)
    assert row["row"]["start"] == {"init": "sampled_vocab", "population": None}
