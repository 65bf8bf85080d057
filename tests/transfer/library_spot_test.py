"""Transfer from a library: the rows of a plan, and a run from end to end."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.initializers import SampledVocab, Uniform
from prompt_tuning.training.results import RowResult
from prompt_tuning.training.rows import Row
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.library.candidates import find_candidates
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.library.retrieval import Ranked
from prompt_tuning.transfer.library_spot import LibrarySpot, LibrarySpotPlan, Started, keep_best
from prompt_tuning.types import UserError
from tests.training import toy
from tests.transfer.libraries import library, prompt

EMBEDDING = dataclasses.replace(toy.SCHEDULE, steps=2, eval_period=2)
TARGET = dataclasses.replace(toy.SCHEDULE, steps=4, learning_rate=0.1)
RANKED = Ranked("far.s-0123", "far.s", "far", "0", "ab", 0.5)


def _plan(**changes: Any) -> LibrarySpotPlan:
    settings: dict[str, Any] = {
        "k": 2,
        "similarity": "mean_token",
        "embedding_start": SampledVocab(None),
        "embedding": EMBEDDING,
        "baselines": (SampledVocab(None), Uniform("paper")),
        "target": TARGET,
        "seeds": (5, 6),
    }
    return LibrarySpotPlan(**{**settings, **changes})


def test_every_start_has_a_row_of_each_seed():
    plan = _plan()
    groups = plan.transfer_rows("new", [(RANKED, Uniform("paper"))]) + plan.vanilla_rows("new")
    assert [[row.name for row in rows] for rows in groups] == [
        ["new.far_s-0123.seed5", "new.far_s-0123.seed6"],
        ["new.sampled_vocab.seed5", "new.sampled_vocab.seed6"],
        ["new.uniform.seed5", "new.uniform.seed6"],
    ]
    assert [(rows[0].method, rows[0].source) for rows in groups] == [
        ("spot", "far"),
        ("prompt_tuning", None),
        ("prompt_tuning", None),
    ]
    assert {row.schedule for rows in groups for row in rows} == {TARGET}


def test_the_embedding_has_a_schedule_and_a_start_of_its_own():
    rows = _plan(embedding_start=Uniform("paper")).embedding_rows("new")
    assert [row.name for row in rows] == ["new.embedding.seed5", "new.embedding.seed6"]
    assert {(row.start, row.schedule) for row in rows} == {(Uniform("paper"), EMBEDDING)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, r"LibrarySpotPlan.k \(RETRIEVE_K\) must be at least 1, not 0"),
        ({"seeds": ()}, "spot needs at least one of seeds"),
        ({"baselines": ()}, "spot needs at least one of baselines"),
        ({"similarity": "mean_tokens"}, r"no similarity 'mean_tokens' \(did you mean mean_token"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        _plan(**changes)


class World:
    """A library of four random prompts, a task, and what is told of a run of it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.told: list[str] = []
        self.trained: list[list[str]] = []
        self.plan = _plan()
        self.directory = RunDirectory(folder / "run")
        self.of_backbone = {"backbone": "toy", "backbone_digest": toy.backbone().digest}
        rng = np.random.default_rng(1)
        names = ("a", "b", "c", "d")
        self.arrays: dict[str, np.ndarray] = dict(
            zip(names, rng.normal(size=(4, 3, 16)), strict=True)
        )
        prompts = [prompt(name, array, **self.of_backbone) for name, array in self.arrays.items()]
        self.library = library(folder / "lib", *prompts)

    def run(self) -> list[Started]:
        candidates = find_candidates(
            Library(self.library.path),
            **self.of_backbone,
            prompt_length=3,
            hidden_size=16,
            placement="prefix",
            target_prefix="",
        )
        plan = LibrarySpot(
            settings=self.plan, task="counting", candidates=candidates, tell=self.told.append
        )
        return plan.run(self.tune, self.directory)

    def tune(self, rows: Sequence[Row], mixtures: Any = None) -> list[RowResult]:
        assert not mixtures
        self.trained.append([row.name for row in rows])
        return toy.train(rows, self.folder, shapes=toy.SHAPES[-1:], save_steps=(0,))

    def load(self, row: str, name: str) -> files.Prompt:
        return files.load(self.directory.row(row) / f"{name}.safetensors")


def test_a_run_starts_from_the_most_similar_prompts(tmp_path: Path):
    world = World(tmp_path)
    found = world.run()
    own = [world.load(f"counting.embedding.seed{seed}", "last").array for seed in (5, 6)]

    def similarity(name: str) -> float:
        means = [each.mean(axis=0) for each in (*own, world.arrays[name])]
        *queries, key = [mean / np.linalg.norm(mean) for mean in means]
        return float(np.mean([query @ key for query in queries]))

    wanted = sorted(world.arrays, key=similarity, reverse=True)[:2]
    prompts = [started.prompt for started in found]
    assert [each and each.task for each in prompts] == [*wanted, None, None]
    assert [each.similarity for each in prompts if each] == pytest.approx(
        [similarity(name) for name in wanted], abs=1e-6
    )
    for started in found[:2]:
        assert started.prompt
        for result in started.results:
            first = world.load(result.row["name"], "step_0")
            np.testing.assert_array_equal(
                first.array, world.arrays[started.prompt.task].astype(np.float32)
            )
            assert first.metadata["init"] == started.prompt.digest == files.digest(first.array)
    assert [len(names) for names in world.trained] == [2, 10]


def test_a_second_run_keeps_its_prompts_though_the_library_has_better_ones(tmp_path: Path):
    world = World(tmp_path)
    before = [started.prompt for started in world.run()]
    own = world.load("counting.embedding.seed5", "last").array
    world.library.add([prompt("e", own, **world.of_backbone)])
    journal = world.directory.metrics.read_bytes()
    assert [started.prompt for started in world.run()] == before
    assert world.directory.metrics.read_bytes() == journal  # So nothing was trained.
    (line,) = [line for line in world.told if "new prompts" in line]
    assert "The library has new prompts that are similar (e)" in line
    (world.directory.path / "retrieved.json").unlink()
    first = world.run()[0].prompt
    assert first and first.task == "e"


def test_a_run_that_was_moved_trains_nothing_again(tmp_path: Path):
    world = World(tmp_path)
    world.run()
    (tmp_path / "moved").mkdir()
    (tmp_path / "run").rename(tmp_path / "moved/run")
    world.directory, world.folder = RunDirectory(tmp_path / "moved/run"), tmp_path / "moved"
    journal = world.directory.metrics.read_bytes()
    world.run()
    assert world.directory.metrics.read_bytes() == journal


def test_the_best_seed_on_validation_is_kept_with_its_embedding(tmp_path: Path):
    world = World(tmp_path)
    found = world.run()
    results = [
        dataclasses.replace(result, validation=score)
        for result, score in zip(found[1].results, (20.0, 30.0), strict=True)
    ]
    result, path = keep_best(
        Started(found[1].prompt, results), world.plan, "counting", world.directory
    )
    kept = files.load(path)
    assert result is results[1]
    assert path == str(world.directory.prompts / "best.safetensors")
    best = world.load(result.row["name"], "best")
    np.testing.assert_array_equal(kept.array, best.array)
    assert kept.metadata == {**best.metadata, "embedding_step": "2"}
    embedding = world.load("counting.embedding.seed6", "last").array
    np.testing.assert_array_equal(kept.embedding, embedding)
