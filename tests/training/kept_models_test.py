"""Models that rows leave: which are finished, and which stay on disk."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from prompt_tuning import storage
from prompt_tuning.prompts.initializers import FromRow
from prompt_tuning.training.kept_models import KeptModels
from prompt_tuning.training.rows import Progress
from prompt_tuning.training.running import RunningRow
from tests.training import toy

MODEL_ROW = toy.model_row("a")


def _models(folder: Path) -> KeptModels:
    backbone = toy.backbone_with_vocabulary(folder)
    return KeptModels([MODEL_ROW], toy.run(folder, backbone=backbone, config=toy.model_config()))


def _save_best(models: KeptModels, running: RunningRow, step: int, params: Any) -> None:
    running.progress.step = step
    running.progress.record(step, 50.0 + step)
    models.save_best(running, params)


def _on_disk(folder: Path) -> set[str]:
    return {path.name for path in (folder / "run" / "models").iterdir()}


@pytest.fixture
def finished_model(tmp_path: Path) -> Path:
    """Returns a folder where row `a` is finished, best after 4 steps with all weights doubled."""
    models, running = _models(tmp_path), toy.running(MODEL_ROW, Progress())
    _save_best(models, running, 0, toy.params())
    _save_best(models, running, 4, jax.tree.map(lambda x: 2 * x, toy.params()))
    models.finish(running, None, {"accuracy": 70.0, "score": 70.0})
    return tmp_path


def test_a_finished_row_keeps_its_best_model_alone(finished_model: Path):
    models = _models(finished_model)
    assert models.results["a"].score == 70.0
    assert _on_disk(finished_model) == {"a"}
    layout = toy.run(finished_model).model.layouts[0]
    after, _ = models.start(toy.model_row("b", start=FromRow("a")), layout)
    wanted = jax.tree.map(lambda x: 2 * x, toy.params())
    jax.tree.map(np.testing.assert_array_equal, after, wanted)


@pytest.mark.parametrize("damage", ["row.json", "weights.safetensors", "config.json"])
def test_a_row_with_a_damaged_model_is_not_finished(finished_model: Path, damage: str):
    path = finished_model / "run" / "models" / "a" / damage
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert not _models(finished_model).results


def test_candidates_of_the_last_two_checkpoints_are_kept(tmp_path: Path):
    models, running = _models(tmp_path), toy.running(MODEL_ROW, Progress())
    for step in (0, 4):
        _save_best(models, running, step, toy.params())
    models.prune(running)
    assert _on_disk(tmp_path) == {".a.best_0", ".a.best_4"}
    _save_best(models, running, 8, toy.params())
    models.save_step(running, toy.params())
    models.prune(running)
    assert _on_disk(tmp_path) == {".a.best_4", ".a.best_8", "a.step_8"}


def test_what_a_killed_run_left_half_written_is_removed(finished_model: Path):
    directory = finished_model / "run" / "models"
    (directory / ".a.best_8").mkdir()
    writing = storage.write_directory(directory / "a.step_4")
    writing.__enter__()
    assert len(_on_disk(finished_model)) == 3
    _models(finished_model).clean()
    assert _on_disk(finished_model) == {"a"}
