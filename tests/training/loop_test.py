"""The loop: best on validation, side-by-side rows, interruption and resume, and what is on disk."""

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from prompt_tuning.data.cached_task import CachedMixture
from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import FromRow
from prompt_tuning.training import loop, partitioning
from prompt_tuning.training.checkpoints import Checkpoints
from prompt_tuning.training.config import TuneConfig
from prompt_tuning.types import UserError
from tests.training import toy
from tests.training.interruption import damage_newest, kill

ROWS = [
    toy.row("first"),
    toy.row("shorter", seed=1, schedule=dataclasses.replace(toy.SCHEDULE, steps=7, batch_size=6)),
    toy.row("transferred", seed=2, start=FromRow("shorter"), method="spot", source="counting"),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    toy.train(ROWS, folder)
    return folder


def _prompt(folder: Path, row: str, name: str) -> np.ndarray:
    return files.load(folder / "run" / "prompts" / row / f"{name}.safetensors").array


def _entries(folder: Path) -> list[dict]:
    return [
        json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()
    ]


def _same_run(one: Path, other: Path) -> None:
    """Asserts that two runs left the same prompts, bit for bit, and the same metrics."""
    for row in ROWS:
        for name in ("best", "last"):
            left, right = _prompt(one, row.name, name), _prompt(other, row.name, name)
            np.testing.assert_array_equal(left, right, err_msg=f"{row.name} {name}")

    def known(folder: Path) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in _entries(folder))

    assert known(one) == known(other)


def test_each_row_ends_at_its_own_step_and_is_scored_at_its_best(finished: Path):
    results = toy.train(ROWS, finished)
    assert [result.curve[-1][0] for result in results] == [12, 7, 12]
    assert [[step for step, _ in result.curve] for result in results][1] == [0, 4, 7]
    for result, row in zip(results, ROWS, strict=True):
        best = max(score for _, score in result.curve)
        assert result.validation == best
        assert result.step == next(step for step, score in result.curve if score == best)
        assert result.best == files.digest(_prompt(finished, row.name, "best"))


def test_first_prompts_are_scored_after_the_first_step(finished: Path):
    kept = [
        (entry["kind"], entry["step"]) for entry in _entries(finished) if entry["row"] == "first"
    ]
    assert kept[:3] == [("train", 1), ("validation", 0), ("train", 2)]
    assert [step for kind, step in kept if kind == "validation"] == [0, 4, 8, 12]


def test_a_transferred_row_starts_from_the_best_prompt_of_its_source(finished: Path):
    source = files.load(finished / "run" / "prompts" / "shorter" / "best.safetensors")
    transferred = files.load(finished / "run" / "prompts" / "transferred" / "last.safetensors")
    assert transferred.metadata["init"] == files.digest(source.array)
    validation = {
        (entry["row"], entry["step"]): entry["score"]
        for entry in _entries(finished)
        if entry["kind"] == "validation"
    }
    assert validation["transferred", 0] == max(
        score for (row, _), score in validation.items() if row == "shorter"
    )


def test_a_run_repeated_elsewhere_leaves_the_same_prompts(finished: Path, tmp_path: Path):
    toy.train(ROWS, tmp_path)
    _same_run(finished, tmp_path)


def _slots(count: int | None) -> TuneConfig | None:
    return None if count is None else toy.config(slots=count)


def _train_and_kill(folder: Path, turns: int, slots: int | None = None) -> None:
    kill(lambda: toy.train(ROWS, folder, _slots(slots)), turns)


@pytest.mark.parametrize("turns", [2, 6, 8, 14])
def test_an_interrupted_run_ends_with_the_same_prompts(finished: Path, tmp_path: Path, turns: int):
    _train_and_kill(tmp_path, turns)
    toy.train(ROWS, tmp_path)
    _same_run(finished, tmp_path)


@pytest.mark.parametrize(("slots", "turns"), [(1, 9), (2, 15)])
def test_rows_that_wait_for_a_slot_end_with_the_same_prompts(
    finished: Path, tmp_path: Path, slots: int, turns: int
):
    _train_and_kill(tmp_path, turns, slots)
    toy.train(ROWS, tmp_path, _slots(slots))
    for row in ROWS:
        for name in ("best", "last"):
            left, right = _prompt(finished, row.name, name), _prompt(tmp_path, row.name, name)
            np.testing.assert_array_equal(left, right, err_msg=f"{row.name} {name}")


def test_rows_that_share_passes_resume_to_the_same_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(partitioning, "mixes_rows", lambda: True)
    one_device = partitioning.layouts()[:1]
    monkeypatch.setattr(partitioning, "layouts", lambda: one_device)
    toy.train(ROWS, tmp_path / "whole")
    _train_and_kill(tmp_path / "killed", 8)
    toy.train(ROWS, tmp_path / "killed")
    _same_run(tmp_path / "whole", tmp_path / "killed")


def test_a_run_resumed_with_too_few_slots_is_refused(tmp_path: Path):
    _train_and_kill(tmp_path, 6)
    with pytest.raises(UserError, match=r"2 rows were in training.*set TuneConfig.slots to at"):
        toy.train(ROWS, tmp_path, _slots(1))
    toy.train(ROWS, tmp_path)


def test_a_damaged_checkpoint_is_skipped_for_the_one_before_it(finished: Path, tmp_path: Path):
    _train_and_kill(tmp_path, 8)
    damaged = damage_newest(tmp_path / "run" / "checkpoints")
    with pytest.warns(UserWarning, match=f"{damaged} is damaged and is skipped"):
        toy.train(ROWS, tmp_path)
    _same_run(finished, tmp_path)


def test_finished_rows_are_not_trained_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / "run" / "prompts" / "first" / "best.safetensors").stat().st_mtime_ns
    monkeypatch.setattr(loop.Trainer, "step", lambda session: pytest.fail("a row was trained"))
    results = toy.train(ROWS, tmp_path)
    assert [result.row["name"] for result in results] == ["first", "shorter", "transferred"]
    after = (tmp_path / "run" / "prompts" / "first" / "best.safetensors").stat().st_mtime_ns
    assert before == after
    assert _entries(tmp_path) == _entries(finished)


def test_rows_can_be_added_to_a_finished_run(finished: Path, tmp_path: Path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    results = toy.train([*ROWS, toy.row("added", seed=5)], tmp_path)
    assert results[-1].row["name"] == "added"
    assert len(results) == 4


def test_other_settings_in_the_same_directory_are_refused(finished: Path):
    changed = dataclasses.replace(
        ROWS[0], schedule=dataclasses.replace(toy.SCHEDULE, learning_rate=0.1)
    )
    with pytest.raises(UserError, match=r"first.*give another MODEL_DIR"):
        toy.train([changed], finished)


def test_a_loss_that_is_not_finite_stops_its_row_alone(finished: Path, tmp_path: Path):
    wild = dataclasses.replace(toy.SCHEDULE)
    object.__setattr__(wild, "learning_rate", math.inf)  # users cannot set it
    rows = [*ROWS, toy.row("wild", seed=3, schedule=wild)]
    results = toy.train(rows, tmp_path)
    assert results[3].stopped is not None
    assert results[3].stopped == "the loss or the update of step 1 was not finite"
    assert [step for step, _ in results[3].curve] == [0]
    best, last = (_prompt(tmp_path, "wild", name) for name in ("best", "last"))
    assert np.isfinite(last).all()
    np.testing.assert_array_equal(best, last)
    for row in ROWS:
        np.testing.assert_array_equal(
            _prompt(tmp_path, row.name, "last"), _prompt(finished, row.name, "last")
        )


def test_the_frozen_weights_are_unchanged_and_on_no_disk(tmp_path: Path):
    _train_and_kill(tmp_path, 6)
    latest = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert latest is not None
    assert set(latest.tree) == {"state", "best"}
    assert set(latest.tree["state"]) == {"trainable", "optimizer", "step", "failed"}

    frozen = toy.params()
    weights: dict[str, Any] = flatten_dict(frozen, sep="/")
    before = {name: leaf.tobytes() for name, leaf in weights.items()}
    toy.train(ROWS, tmp_path, backbone=toy.backbone(frozen))
    assert {name: leaf.tobytes() for name, leaf in weights.items()} == before

    written = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in written) < 150_000
    kernels = [data[:64] for name, data in before.items() if name.endswith("kernel")]
    assert not any(kernel in path.read_bytes() for path in written for kernel in kernels)


def test_a_mixture_is_trained_on_and_scored_on_each_of_its_tasks(tmp_path: Path):
    parts = ((toy.task(tmp_path), 1.0), (toy.task(tmp_path, "other"), 3.0))
    tasks = {"both": CachedMixture("both", "digest", parts)}
    row = toy.row("mixed", task="both", schedule=dataclasses.replace(toy.SCHEDULE, steps=4))
    (result,) = toy.train([row], tmp_path, tasks=tasks)
    assert set(result.metrics) == {"counting/accuracy", "other/accuracy"}
    assert result.score == pytest.approx(np.mean(list(result.metrics.values())))
    entry = next(entry for entry in _entries(tmp_path) if entry["kind"] == "validation")
    assert {"counting/accuracy", "other/accuracy", "score"} < set(entry)


def test_another_compute_dtype_in_the_same_directory_is_refused(finished: Path):
    frozen = toy.backbone()
    config = dataclasses.replace(frozen.config, dtype="bfloat16")
    with pytest.raises(UserError, match=r"first.*give another MODEL_DIR"):
        toy.train(ROWS, finished, backbone=dataclasses.replace(frozen, config=config))
