"""Ranking the prompts of a library, and what a run keeps of it."""

import json
from pathlib import Path

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.training.run_directory import RunDirectory
from prompt_tuning.transfer.library.candidates import Candidates
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.library.retrieval import Retrieval, rank, read_retrieval, retrieve
from prompt_tuning.types import UserError
from tests.transfer.libraries import library, prompt

RNG = np.random.default_rng(0)
AXES = np.eye(4)


def _token(*weights: float) -> np.ndarray:
    """Returns a prompt of two equal tokens, weighted sums of axes."""
    return np.tile(np.asarray(weights) @ AXES, (2, 1))


def _rank(made: Library, *embeddings: np.ndarray, similarity: str = "mean_token") -> Retrieval:
    candidates = Candidates(library=made, entries=made.entries(), left_out=None)
    queries = [prompt("new", each) for each in embeddings]
    return rank(candidates, queries, "new", similarity)


def test_prompts_are_found_by_their_embeddings_and_the_others_by_themselves(tmp_path: Path):
    made = library(
        tmp_path,
        prompt("key", _token(0, 0, 0, 1)).embedded(_token(1, 0, 0, 0), 4),
        prompt("value", _token(1, 0, 0, 0)).embedded(_token(0, 0, 0, 1), 4),
        prompt("itself", _token(4, 3, 0, 0)),
    )
    found = _rank(made, _token(2, 0, 0, 0)).ranking
    assert [ranked.task for ranked in found] == ["key", "itself", "value"]
    assert [ranked.similarity for ranked in found] == pytest.approx([1.0, 0.8, 0.0])


def test_a_similarity_is_the_mean_over_the_targets_seeds(tmp_path: Path):
    made = library(tmp_path, prompt("a", _token(1, 0, 0, 0)), prompt("b", _token(3, 4, 0, 0)))
    found = _rank(made, _token(1, 0, 0, 0), _token(0, 5, 0, 0)).ranking
    assert [(each.task, each.similarity) for each in found] == [
        ("b", pytest.approx((0.6 + 0.8) / 2)),
        ("a", pytest.approx(0.5)),
    ]


@pytest.mark.parametrize("similarity", ["mean_token", "per_token"])
def test_planted_prompts_are_ranked_by_how_near_they_were_planted(tmp_path: Path, similarity: str):
    own, other = RNG.normal(size=(2, 20, 64))
    shares = {"near": 0.9, "middle": 0.6, "far": 0.3, "apart": 0.0}
    planted = [
        prompt(name, RNG.normal(size=own.shape)).embedded(share * own + (1 - share) * other, 4)
        for name, share in shares.items()
    ]
    found = _rank(library(tmp_path, *planted), own, own, similarity=similarity)
    assert [ranked.task for ranked in found.ranking] == list(shares)
    assert found.similarity == similarity


def test_of_prompts_of_a_task_with_one_embedding_the_best_on_validation_counts(tmp_path: Path):
    key = _token(1, 0, 0, 0)
    tuned = [
        prompt(f"cb.from{i}", RNG.normal(size=(2, 4)), metrics={"validation": score})
        for i, score in enumerate((80.0, 95.0, 90.0))
    ]
    other = prompt("rte", RNG.normal(size=(2, 4)), metrics={"validation": 99.0})
    made = library(tmp_path, *(each.embedded(key, 4) for each in (*tuned, other)))
    found = _rank(made, key, _token(1, 1, 0, 0)).ranking
    assert [ranked.name for ranked in found] == ["rte", "cb.from1"]


def test_equal_prompts_count_once_where_they_are_most_similar(tmp_path: Path):
    array = RNG.normal(size=(2, 4))
    made = library(
        tmp_path,
        prompt("same", array).embedded(_token(0, 1, 0, 0), 4),
        prompt("same", array).embedded(_token(1, 0, 0, 0), 4),
        prompt("other", _token(1, 1, 0, 0)),
    )
    found = _rank(made, _token(1, 0, 0, 0)).ranking
    assert [(ranked.task, round(ranked.similarity, 2)) for ranked in found] == [
        ("same", 1.0),
        ("other", 0.71),
    ]


def test_a_run_keeps_copies_which_outlive_the_library(tmp_path: Path):
    made = library(
        tmp_path / "lib", prompt("a", _token(1, 0, 0, 0)), prompt("b", _token(1, 1, 0, 0))
    )
    directory = RunDirectory(tmp_path / "run")
    ranking = _rank(made, _token(1, 0, 0, 0))
    (first,) = retrieve(ranking, 1, made, directory)
    assert read_retrieval(directory, "new", "mean_token") == ranking
    for entry in made.entries():
        entry.path.unlink()
    assert retrieve(ranking, 1, made, directory) == [first]
    assert files.digest(files.load(first.path(directory)).array) == first.digest
    with pytest.raises(UserError, match=f"has no prompt '{ranking.ranking[1].id}'"):
        retrieve(ranking, 2, made, directory)


def test_another_prompt_in_the_place_of_a_copy_is_refused(tmp_path: Path):
    made = library(tmp_path / "lib", prompt("a", _token(1, 0, 0, 0)))
    directory = RunDirectory(tmp_path / "run")
    ranking = _rank(made, _token(1, 0, 0, 0))
    (first,) = retrieve(ranking, 1, made, directory)
    files.save(first.path(directory), prompt("a", _token(1, 1, 0, 0)))
    with pytest.raises(UserError, match="not the prompt that was retrieved; delete it"):
        retrieve(ranking, 1, made, directory)


def test_newcomers_are_told_of_where_they_would_be_retrieved(tmp_path: Path):
    made = library(tmp_path, prompt("a", _token(1, 1, 0, 0)), prompt("b", _token(1, 2, 0, 0)))
    before = _rank(made, _token(1, 0, 0, 0))
    made.add([prompt("best", _token(1, 0, 0, 0)), prompt("worst", _token(0, 1, 0, 0))])
    now = _rank(made, _token(1, 0, 0, 0))
    assert [ranked.task for ranked in before.new_prompts(now, 2)] == ["best"]
    assert [ranked.task for ranked in before.new_prompts(now, 4)] == ["best", "worst"]
    assert before.new_prompts(before, 2) == []


@pytest.mark.parametrize(
    ("task", "similarity", "change", "message"),
    [
        ("other", "mean_token", {}, "ranked for the task 'new', not 'other'; give another MODEL"),
        ("new", "per_token", {}, "ranked for the similarity 'mean_token', not 'per_token'"),
        ("new", "mean_token", {"ranking": 3}, "retrieved.json: damaged; delete it, and prompts"),
        ("new", "mean_token", {"id": "../a"}, "retrieved.json: damaged; delete it, and prompts"),
    ],
)
def test_what_was_kept_for_another_run_is_refused(
    tmp_path: Path, task: str, similarity: str, change: dict, message: str
):
    directory = RunDirectory(tmp_path / "run")
    made = library(tmp_path / "lib", prompt("a", _token(1, 0, 0, 0)))
    retrieve(_rank(made, _token(1, 0, 0, 0)), 1, made, directory)
    path = directory.path / "retrieved.json"
    content = json.loads(path.read_text())
    if "id" in change:
        content["ranking"][0].update(change)
    else:
        content.update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        read_retrieval(directory, task, similarity)
