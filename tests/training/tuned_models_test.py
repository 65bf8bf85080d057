"""Tuned models on disk: which rows are finished, and which candidates are kept."""

from pathlib import Path

import jax
import numpy as np
import pytest

from prompt_tuning.models.parameters import read_whole
from prompt_tuning.training.rows import Progress
from prompt_tuning.training.starts import FromRow
from prompt_tuning.training.tuned_models import TunedModels
from tests.training import toy

ROW = toy.model_row("a")


def _models(folder: Path) -> TunedModels:
    work = toy.work(folder, backbone=toy.backbone_with_vocabulary(folder))
    return TunedModels([ROW], work, toy.model_config())


def _kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "run" / "models").iterdir()}


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Returns a folder where row `a` is finished, best after 4 steps with all weights doubled."""
    models, progress = _models(tmp_path), Progress(step=4)
    progress.record(progress.step, 50.0)
    models.save_best(ROW, toy.params(), 0)
    models.save_best(ROW, jax.tree.map(lambda x: 2 * x, toy.params()), 4)
    models.finish(ROW, progress, {"accuracy": 70.0, "score": 70.0})
    return tmp_path


def test_a_finished_row_is_known_again_and_keeps_its_best_model_alone(finished: Path):
    models = _models(finished)
    assert models.finished["a"].score == 70.0
    assert _kept(finished) == {"a"}
    after = models.start(toy.model_row("b", start=FromRow("a")))
    name = "decoder/logits_dense/kernel"
    table = read_whole(after.parameters[name], name, np.dtype(np.float32))
    wanted = 2 * toy.params()["decoder"]["logits_dense"]["kernel"]
    np.testing.assert_array_equal(table, wanted)


@pytest.mark.parametrize("damage", ["row.json", "weights.safetensors", "config.json"])
def test_a_row_with_a_damaged_file_is_not_finished(finished: Path, damage: str):
    path = finished / "run" / "models" / "a" / damage
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert not _models(finished).finished


def test_candidates_from_a_step_on_are_kept(tmp_path: Path):
    models = _models(tmp_path)
    for step in (0, 4, 8):
        models.save_best(ROW, toy.params(), step)
    models.save_step(ROW, toy.params(), 4)
    models.drop_candidates(ROW, 4)
    assert _kept(tmp_path) == {".a.best_4", ".a.best_8", "a.step_4"}


def test_what_a_killed_run_left_half_written_is_removed(finished: Path):
    for name in (".a.step_4.0123.tmp", "..a.best_8.0123.old", ".a.best_8"):
        (finished / "run" / "models" / name).mkdir()
    _models(finished).clean([ROW])
    assert _kept(finished) == {"a"}
