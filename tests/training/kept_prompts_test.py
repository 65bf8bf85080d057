"""Prompt files that rows leave: which rows are finished, and what the files say."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from prompt_tuning.data.target_prefix import with_target_prefix
from prompt_tuning.parameterizations.prompt_table import PromptTable
from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import ClassLabels, FromFile, FromRow
from prompt_tuning.training.kept_prompts import KeptPrompts
from prompt_tuning.training.rows import Progress, Row
from prompt_tuning.training.run import Run
from prompt_tuning.types import UserError
from tests.training import toy

BEST = np.full((3, 16), 0.5, np.float32)


def _prompts(folder: Path, rows: list[Row], **changes: Any) -> KeptPrompts:
    return KeptPrompts(rows, toy.run(folder, config=toy.config(**changes)))


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Returns a folder where row `a` is finished, best after 4 of 12 steps."""
    prompts = _prompts(tmp_path, [toy.row("a")])
    progress = Progress(step=4, seconds=2.5)
    progress.record(progress.step, 75.0)
    running = toy.running(toy.row("a"), progress)
    prompts.save_best(running, BEST)
    progress.step = 12
    progress.record(progress.step, 50.0)
    prompts.finish(running, 2 * BEST, {"accuracy": 70.0, "score": 70.0})
    return tmp_path


def test_a_finished_row_is_known_again_with_its_result(finished: Path):
    assert _prompts(finished, [toy.row("a")]).results["a"].record() == {
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
    row, progress = toy.row("a", task="own"), Progress(step=4)
    progress.record(4, 75.0)
    settings = toy.config(placement="suffix_before_eos")
    prompts = KeptPrompts([row], toy.run(tmp_path, tasks={"own": odd}, config=settings))
    prompts.save_best(toy.running(row, progress), BEST)
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
    assert not _prompts(finished, [toy.row("a")]).results


def test_how_often_things_are_logged_changes_no_result(finished: Path):
    changes = {"eval_batch_size": 3, "log_period": 1, "checkpoint_period": 1, "remat": True}
    assert _prompts(finished, [toy.row("a")], **changes).results
    for changes in ({"parameterization": PromptTable(4)}, {"placement": "suffix_after_eos"}):
        with pytest.raises(UserError, match=r"prompts/a' is of a row of the same name with other"):
            _prompts(finished, [toy.row("a")], **changes)


def test_the_digest_of_a_transferred_row_follows_its_source(tmp_path: Path):
    other = toy.row("a", schedule=dataclasses.replace(toy.SCHEDULE, steps=3))
    spot = toy.row("b", start=FromRow("a"))
    first, second = (_prompts(tmp_path, [source, spot]) for source in (toy.row("a"), other))
    assert first.results.digest(spot) != second.results.digest(spot)


def test_rows_that_wait_for_each_other_or_for_nothing_are_refused(tmp_path: Path):
    circle = [toy.row("a", start=FromRow("b")), toy.row("b", start=FromRow("a"))]
    with pytest.raises(UserError, match=r"row '[ab]' starts from itself"):
        _prompts(tmp_path, circle)
    alone = toy.row("a", start=FromRow("sourec"))
    with pytest.raises(UserError, match="row 'a' starts from unknown row 'sourec'"):
        _prompts(tmp_path, [alone])


def test_the_result_on_disk_is_plain_json(finished: Path):
    row = json.loads((finished / "run" / "prompts" / "a" / "row.json").read_text())
    assert row["best"] == files.digest(BEST)
    assert row["row"]["start"] == {"init": "sampled_vocab", "population": None}


# First prompts.


def test_class_labels_are_those_of_the_rows_task(tmp_path: Path):
    row = toy.row("a", start=ClassLabels(None, None))
    prompt = _prompts(tmp_path, [row]).first_prompt(row)
    table = toy.params()["token_embedder"]["embedding"]
    assert prompt.shape == (3, 16)
    np.testing.assert_array_equal(prompt[:2], table[5:7])


def test_tasks_without_labels_are_named_once(tmp_path: Path):
    out = io.StringIO()
    open_ended = dataclasses.replace(toy.task(tmp_path, "open"), labels=())
    tasks = {"counting": toy.task(tmp_path), "open": open_ended}
    run = toy.run(tmp_path, tasks=tasks, console=Console(file=out, width=200))
    labels = ClassLabels(None, None)
    rows = [
        toy.row("a", start=labels),
        *(toy.row(name, task="open", start=labels) for name in "bc"),
        toy.row("d", task="open"),
    ]
    KeptPrompts(rows[:1], run).check_starts()
    assert not out.getvalue()
    KeptPrompts(rows, run).check_starts()
    assert out.getvalue() == "No class labels: open; prompts start from sampled vocabulary.\n"


def test_a_row_starts_from_a_file_of_its_own_placement_and_target_prefix_alone(tmp_path: Path):
    plain = toy.run(tmp_path)
    task = with_target_prefix(toy.task(tmp_path), "30", toy.Digits())  # pyright: ignore[reportArgumentType]
    prefixed = dataclasses.replace(plain, tasks={"counting": task})
    metadata = {"placement": "suffix_after_eos", "target_prefix": "30"}
    path = tmp_path / "start.safetensors"
    files.save(path, files.Prompt(np.ones((3, 16), np.float32), metadata))
    row = toy.row("a", start=FromFile(str(path)))

    def first(run: Run, placement: str) -> np.ndarray:
        placed = dataclasses.replace(run, config=toy.config(placement=placement))
        return KeptPrompts([row], placed).first_prompt(row)

    np.testing.assert_array_equal(first(prefixed, "suffix_after_eos"), np.ones((3, 16)))
    for run, placement, message in (
        (prefixed, "prefix", "placement suffix_after_eos"),
        (plain, "suffix_after_eos", "target prefix 30"),
    ):
        with pytest.raises(UserError, match=message):
            first(run, placement)
