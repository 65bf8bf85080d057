"""Model tuning: best on validation, chains of rows, interruption and resume, and what is kept."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from prompt_tuning import storage
from prompt_tuning.models.parameters import read_whole
from prompt_tuning.models.weights import open_backbone
from prompt_tuning.prompts.initializers import FromRow, SampledVocab
from prompt_tuning.training import loop
from prompt_tuning.training.checkpoints import Checkpoints
from prompt_tuning.types import UserError
from tests.training import toy
from tests.training.interruption import damage_newest, kill

ROWS = [
    toy.model_row("target", seed=2, start=FromRow("source"), method="multi_task_model_tuning"),
    toy.model_row("source", schedule=dataclasses.replace(toy.MODEL_SCHEDULE, steps=8)),
]
SAVED = (6,)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    toy.train_models(ROWS, folder, save_steps=SAVED)
    return folder


def _weights(folder: Path, name: str) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "run" / "models" / name / "weights.safetensors")


def _entries(folder: Path) -> list[dict]:
    return [
        json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()
    ]


def _same_run(one: Path, other: Path) -> None:
    """Asserts that two runs left the same models, bit for bit, the same metrics, and no more."""
    for name in ("source", "source.step_6", "target", "target.step_6"):
        left, right = _weights(one, name), _weights(other, name)
        assert left.keys() == right.keys()
        for key in left:
            np.testing.assert_array_equal(left[key], right[key], err_msg=f"{name} {key}")

    def known(folder: Path) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in _entries(folder))

    assert known(one) == known(other)
    for part in ("", "models"):
        names = [
            {path.name for path in (folder / "run" / part).iterdir()} for folder in (one, other)
        ]
        assert names[0] == names[1]


def test_rows_train_in_turn_and_each_is_scored_at_its_best(finished: Path):
    results = toy.train_models(ROWS, finished, save_steps=SAVED)
    assert [[step for step, _ in result.curve] for result in results] == [
        [0, 4, 6, 8, 12],
        [0, 4, 6, 8],
    ]
    for result in results:
        best = max(score for _, score in result.curve)
        assert result.validation == best
        assert result.step == next(step for step, score in result.curve if score == best)
    assert [result.record()["method"] for result in results] == [
        "multi_task_model_tuning",
        "model_tuning",
    ]


def test_the_loss_falls(tmp_path: Path):
    schedule = dataclasses.replace(toy.MODEL_SCHEDULE, steps=40, eval_period=40)
    toy.train_models([toy.model_row("long", schedule=schedule)], tmp_path)
    losses = [entry["loss_per_token"] for entry in _entries(tmp_path) if entry["kind"] == "train"]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_every_weight_is_tuned(finished: Path):
    before = toy.backbone()
    for name, array in _weights(finished, "source.step_6").items():
        pretrained = read_whole(before.parameters[name], name, array.dtype)
        assert np.abs(array - pretrained).max() > 0, name


def test_a_kept_model_is_a_backbone(finished: Path):
    folder = finished / "run" / "models" / "source"
    opened = open_backbone(folder, model=None, vocabulary=None, param_dtype="float32")
    assert opened.config == dataclasses.replace(toy.T5_CONFIG, name="toy.source")
    assert opened.vocabulary_file.name == "sentencepiece.model"
    result = json.loads((folder / "row.json").read_text())
    assert result["best"] == opened.digest
    assert result["backbone"] == "toy"


def test_a_row_starts_from_the_best_model_of_its_source(finished: Path):
    validation = {
        (entry["row"], entry["step"]): entry["score"]
        for entry in _entries(finished)
        if entry["kind"] == "validation"
    }
    best = max(score for (row, _), score in validation.items() if row == "source")
    assert validation["target", 0] == best


def _train_and_kill(folder: Path, turns: int) -> None:
    kill(lambda: toy.train_models(ROWS, folder, save_steps=SAVED), turns)


@pytest.mark.parametrize("turns", [2, 9, 16])
def test_an_interrupted_run_ends_with_the_same_models(finished: Path, tmp_path: Path, turns: int):
    _train_and_kill(tmp_path, turns)
    half_written = storage.write_directory(tmp_path / "run" / "models" / "half")
    half_written.__enter__()
    toy.train_models(ROWS, tmp_path, save_steps=SAVED)
    _same_run(finished, tmp_path)


def test_a_damaged_checkpoint_is_skipped_for_the_one_before_it(finished: Path, tmp_path: Path):
    _train_and_kill(tmp_path, 8)
    damaged = damage_newest(tmp_path / "run" / "checkpoints")
    with pytest.warns(UserWarning, match=f"{damaged} is damaged and is skipped"):
        toy.train_models(ROWS, tmp_path, save_steps=SAVED)
    _same_run(finished, tmp_path)


def test_a_checkpoint_holds_the_model_and_its_optimizer(tmp_path: Path):
    _train_and_kill(tmp_path, 5)
    latest = Checkpoints(tmp_path / "run" / "checkpoints").latest()
    assert latest is not None
    assert set(latest.tree) == {"state"}
    assert set(latest.tree["state"]) == {"trainable", "optimizer", "step", "failed"}


def test_finished_rows_are_not_trained_again(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(loop.Trainer, "step", lambda *_: pytest.fail("a row was trained"))
    results = toy.train_models(ROWS, tmp_path, save_steps=SAVED)
    assert [result.row["name"] for result in results] == ["target", "source"]
    assert _entries(tmp_path) == _entries(finished)


def test_other_settings_in_the_same_directory_are_refused(finished: Path):
    changed = dataclasses.replace(
        ROWS[1], schedule=dataclasses.replace(toy.MODEL_SCHEDULE, learning_rate=0.1)
    )
    with pytest.raises(UserError, match=r"models/source'.*give another MODEL_DIR"):
        toy.train_models([changed], finished)


def test_a_loss_that_is_not_finite_stops_the_row_and_keeps_its_best(tmp_path: Path):
    wild = dataclasses.replace(toy.MODEL_SCHEDULE, steps=6)
    object.__setattr__(wild, "learning_rate", math.inf)  # users cannot set it
    rows = [toy.model_row("wild", schedule=wild), toy.model_row("sound", seed=1)]
    results = toy.train_models(rows, tmp_path)
    assert results[0].stopped == "the loss or the update of step 1 was not finite"
    assert all(np.isfinite(array).all() for array in _weights(tmp_path, "wild").values())
    assert results[1].stopped is None


def test_a_prompts_start_and_coarse_parameters_are_refused(tmp_path: Path):
    row = toy.model_row("a", start=SampledVocab(None))
    with pytest.raises(UserError, match=r"set train.start to @Pretrained\(\)"):
        toy.train_models([row], tmp_path)
    coarse = dataclasses.replace(toy.backbone(), param_dtype="bfloat16")
    with pytest.raises(UserError, match="PARAM_DTYPE is 'bfloat16', too coarse"):
        toy.train_models([toy.model_row("a")], tmp_path, backbone=coarse)
