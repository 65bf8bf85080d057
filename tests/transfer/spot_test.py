"""SPoT: which rows a plan has, where they start, and a run from end to end."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import FromRow, SampledVocab, Uniform
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.spot import SpotPlan
from prompt_tuning.types import UserError
from tests.training import toy

SOURCE = dataclasses.replace(toy.SCHEDULE, steps=8)
TARGET = dataclasses.replace(toy.SCHEDULE, steps=4, learning_rate=0.1)


def _plan(**changes: Any) -> SpotPlan:
    settings: dict[str, Any] = {
        "sources": ("near", "far"),
        "targets": ("small",),
        "source_of": {"small": "far"},
        "similarity": "per_token",
        "embedding_steps": 4,
        "source_start": SampledVocab(None),
        "baselines": (SampledVocab(None), Uniform("paper")),
        "source": SOURCE,
        "target": TARGET,
        "source_seeds": (0, 1),
        "target_seeds": (5, 6, 7),
    }
    return SpotPlan(**{**settings, **changes})


def test_sources_and_baselines_come_first():
    rows = {row.name: row for row in _plan().first_rows}
    assert list(rows) == [
        "near.source.seed0",
        "near.source.seed1",
        "far.source.seed0",
        "far.source.seed1",
        "small.sampled_vocab.seed5",
        "small.sampled_vocab.seed6",
        "small.sampled_vocab.seed7",
        "small.uniform.seed5",
        "small.uniform.seed6",
        "small.uniform.seed7",
    ]
    assert {row.method for row in rows.values()} == {"prompt_tuning"}
    assert rows["far.source.seed1"].schedule is SOURCE
    assert rows["small.uniform.seed7"].schedule is TARGET
    assert rows["small.uniform.seed7"].start == Uniform("paper")


def test_seeds_of_a_target_take_the_sources_seeds_in_turn():
    rows = _plan().transfer_rows({"small": "far"})
    assert [(row.name, row.start) for row in rows] == [
        ("small.spot.seed5", FromRow("far.source.seed0")),
        ("small.spot.seed6", FromRow("far.source.seed1")),
        ("small.spot.seed7", FromRow("far.source.seed0")),
    ]
    assert {(row.method, row.source, row.task) for row in rows} == {("spot", "far", "small")}
    assert {row.schedule for row in rows} == {TARGET}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "spot needs at least one of sources"),
        ({"target_seeds": ()}, "spot needs at least one of target_seeds"),
        ({"source_of": {"smal": "far"}}, r"no source for the target 'small' \(did you mean smal\?"),
        ({"source_of": {"small": "fra"}}, r"'fra', which is not among the sources \(did you .*far"),
        ({"source_of": "most_simlar"}, "give a source for each target, or 'most_similar'"),
        ({"source_of": "most_similar", "embedding_steps": 5}, r"embedding_steps is 5; .*\[1, 4\]"),
        ({"source_of": "most_similar", "embedding_steps": 0}, "embedding_steps is 0; give a"),
        ({"similarity": "per_tokens"}, r"no similarity 'per_tokens' \(did you mean per_token"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        _plan(**changes)


def _save(folder: Path, name: str, array: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / f"{name}.safetensors", files.Prompt(array.astype(np.float32), {}))


def test_the_source_is_chosen_by_early_prompts_alone(tmp_path: Path):
    plan = _plan(source_of="most_similar")
    directory = RunDirectory(tmp_path)
    rng = np.random.default_rng(0)
    own, other = rng.normal(size=(2, 3, 16))
    for row in plan.first_rows:
        # The best prompts, and those of the second baseline, are like the other source's.
        for name, like_the_target in (("step_4", ("near", "small")), ("best", ("far", "small"))):
            similar = row.task in like_the_target and row.start != Uniform("paper")
            noise = 0.1 * rng.normal(size=own.shape)
            _save(directory.row(row.name), name, (own if similar else other) + noise)
    assert plan.choose_sources(directory) == {"small": "near"}
    assert plan.save_steps == (4,)
    assert _plan().choose_sources(directory) == {"small": "far"}
    assert _plan().save_steps == ()


@pytest.mark.parametrize("source_of", [{"small": "far"}, "most_similar"])
def test_a_run_starts_targets_at_their_sources_best_prompts(
    tmp_path: Path, source_of: dict[str, str] | str
):
    plan = _plan(source_of=source_of, source_seeds=(0,), target_seeds=(0, 1))
    directory = RunDirectory(tmp_path / "run")
    tasks = {name: toy.task(tmp_path, name) for name in plan.tasks}

    def tune(rows, mixtures=None) -> list[RowResult]:
        assert not mixtures
        save_steps = (0, *plan.save_steps)
        shapes = toy.SHAPES[-1:]
        return toy.train(rows, tmp_path, tasks=tasks, shapes=shapes, save_steps=save_steps)

    results = {result.row["name"]: result for result in plan.run(tune, directory)}
    assert len(results) == 2 + 4 + 2
    for seed in (0, 1):
        result = results[f"small.spot.seed{seed}"]
        source = results[f"{result.row['source']}.source.seed0"]
        best = files.load(directory.row(source.row["name"]) / "best.safetensors").array
        first = files.load(directory.row(f"small.spot.seed{seed}") / "step_0.safetensors")
        np.testing.assert_array_equal(first.array, best)
        assert first.metadata["init"] == source.best == files.digest(best)
    seconds = [result.seconds for result in results.values()]
    metrics = directory.metrics.read_text()
    again = plan.run(tune, directory)
    assert [result.seconds for result in again] == seconds  # so nothing was trained again
    assert directory.metrics.read_text() == metrics
