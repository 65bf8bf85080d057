"""`spot --library=DIR`: its report, what it keeps, its resumption, and input that is not sound."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.analysis import results
from prompt_tuning.cli.library import library
from prompt_tuning.cli.library_spot import start_names
from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.library import Library
from prompt_tuning.transfer.library.retrieval import Ranked
from tests.cli.conftest import TINY, flags, launch, prompts, run_listing_modules, tiny, tree
from tests.cli.task_file_test import REVIEWS_CSV

STEPS = {
    "TARGET_SEEDS": (0, 1),
    "TARGET_STEPS": 16,
    "EMBEDDING_STEPS": 3,
    "target/Schedule.eval_period": 4,
}
TARGET = {"MIXTURE_OR_TASK_NAME": "mini_yelp", **STEPS}
MINI = "--gin_file=runs/spot_mini.gin"


@pytest.fixture(scope="module")
def prompt_library(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Makes a library of the prompts of two tasks."""
    folder = tmp_path_factory.mktemp("library") / "lib"
    library(["add", str(folder), str(trained), "--embedding_step=3"])
    return folder


@pytest.fixture(scope="module")
def started(
    prompt_library: Path, cache_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Runs transfer from the library to a third task; `output` and `modules` lie beside."""
    folder = tmp_path_factory.mktemp("spot")
    words = [f"--library={prompt_library}", MINI, *tiny(cache_dir, folder / "run", **TARGET)]
    (folder / "output").write_text(run_listing_modules(folder / "modules", "spot", *words))
    return folder / "run"


def test_results_have_every_start(started: Path):
    rows = results.read_records(started / "results.json")
    assert sorted((row["method"], row["init"], row["source"] or "") for row in rows) == sorted(
        2
        * [
            ("prompt_tuning", "class_labels", ""),
            ("prompt_tuning", "sampled_vocab", ""),
            ("spot", "file", "mini_cr"),
            ("spot", "file", "mini_sst2"),
        ]
    )
    assert {(row["target"], row["steps"]) for row in rows} == {("mini_yelp", 16)}
    assert all([step for step, _ in row["curve"]] == [0, 4, 8, 12, 16] for row in rows)


def test_starts_are_the_librarys_prompts_most_similar_first(started: Path, prompt_library: Path):
    content = json.loads((started / "retrieved.json").read_text())
    entries = {entry.name: entry for entry in Library(prompt_library).entries()}
    ids = content["retrieved"]
    assert sorted(ids) == sorted(entries)
    similar = [ranked["similarity"] for ranked in content["ranking"]]
    assert similar == sorted(similar, reverse=True)
    for row in started.glob("prompts/mini_yelp.mini_*/best.safetensors"):
        init = files.load(row).metadata["init"]
        assert init in {entry.digest for entry in entries.values()}


def test_the_best_on_validation_is_kept_with_its_embedding(started: Path):
    row_results = [json.loads(path.read_text()) for path in started.glob("prompts/*/row.json")]
    compared = [result for result in row_results if ".embedding." not in result["row"]["name"]]
    starts: dict[str, list[float]] = {}
    for each in compared:
        starts.setdefault(each["row"]["name"].rpartition(".")[0], []).append(each["validation"])
    kept = files.load(started / "prompts/best.safetensors")
    name, _, seed = kept.metadata["name"].rpartition(".")
    assert np.mean(starts[name]) == max(map(np.mean, starts.values()))
    assert files.digest(kept.array) in {each["best"] for each in compared}
    embedding = files.load(started / f"prompts/mini_yelp.embedding.{seed}/last.safetensors")
    assert (kept.metadata["embedding_step"], embedding.metadata["step"]) == ("3", "3")
    np.testing.assert_array_equal(kept.embedding, embedding.array)


def test_the_report_says_what_helped(started: Path):
    report = started / "report"
    names = sorted(path.name for path in report.iterdir())
    assert names == ["curves.png", "library.csv", "library.md"]
    assert (report / "curves.png").read_bytes().startswith(b"\x89PNG")
    output = (started.parent / "output").read_text()
    assert "Most similar to mini_yelp of 2 prompts, by mean_token: mini_" in output
    assert "Library " in output and ": 2 prompts to choose from.\n" in output
    table = output[output.index("Starts of mini_yelp") :]
    assert table.count("* ") == 2  # The line that is kept, and the note.
    assert "is best on validation" in output or "No retrieved prompt helped" in output
    assert f"prompt-tuning library add {output.split('Library ')[1].split(':')[0]} " in output


def test_the_process_imports_neither_tensorflow_nor_seqio(started: Path):
    modules = set(json.loads((started.parent / "modules").read_text()))
    assert not modules & {"tensorflow", "tensorflow_datasets", "seqio"}


def test_a_second_run_trains_nothing(
    started: Path, prompt_library: Path, here: Callable[..., int], capsys
):
    before = tree(started)
    words = (f"--library={prompt_library}", f"--gin_file={started / 'operative_config.gin'}")
    assert here("spot", *words) == 0
    assert tree(started) == before
    assert "Starts of mini_yelp" in capsys.readouterr().out


def test_a_killed_run_ends_as_it_would_have_though_the_library_has_grown(
    started: Path, prompt_library: Path, tmp_path: Path
):
    shutil.copytree(prompt_library, tmp_path / "lib")
    words = (
        *("spot", f"--library={tmp_path / 'lib'}"),
        f"--gin_file={started / 'operative_config.gin'}",
        *flags(MODEL_DIR=str(tmp_path / "run")),
    )
    process = launch(*words)
    journal = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None:
        if journal.is_file() and journal.read_bytes().count(b"\n") > 60:
            process.kill()
        time.sleep(0.002)
    process.communicate()
    assert process.returncode == -9
    own = files.load(started / "prompts/mini_yelp.embedding.seed0/last.safetensors")
    Library(tmp_path / "lib").add([own.embedded(own.array, 3)])
    process = launch(*words)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "The library has new prompts that are similar (mini_yelp.embedding.seed0)" in out
    assert prompts(tmp_path / "run") == prompts(started)


def test_a_dry_run_says_what_would_be_trained_and_leaves_nothing(
    prompt_library: Path, tmp_path: Path, here: Callable[..., int], capsys
):
    settings = {"CACHE_DIR": str(tmp_path / "cache"), "MODEL_DIR": str(tmp_path / "run"), **TINY}
    words = [f"--library={prompt_library}", MINI, "--dry_run", *flags(**settings, **TARGET)]
    assert here("spot", *words) == 0
    out = capsys.readouterr().out
    assert "LibrarySpotPlan.k = %RETRIEVE_K" in out
    assert "To train: 2 rows of 3 steps for the embedding; then, for 16 steps each, 2 rows" in out
    assert "rows (prompts to train)" in out and " 10\n" in out
    assert not list(tmp_path.iterdir())


def test_a_file_of_ones_own_needs_no_more_than_a_library(
    prompt_library: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text(REVIEWS_CSV)
    settings = {**TINY, **STEPS, "TARGET_SEEDS": (0,), "TARGET_STEPS": 4, "RETRIEVE_K": 1}
    words = flags(TASK_FILE="reviews.csv", CACHE_DIR=str(cache_dir), **settings)
    assert here("spot", f"--library={prompt_library}", *words) == 0
    rows = results.read_records(tmp_path / "runs/reviews.spot/results.json")
    assert [(row["method"], row["target"]) for row in rows] == [
        ("spot", "reviews"),
        ("prompt_tuning", "reviews"),
        ("prompt_tuning", "reviews"),
    ]
    assert (tmp_path / "runs/reviews.spot/prompts/best.safetensors").is_file()
    out = capsys.readouterr().out
    assert "Most similar to reviews of 2 prompts, by mean_token: mini_" in out
    assert "(1 seed)" in out


@pytest.mark.parametrize(
    ("path", "bindings", "message"),
    [
        ("nowhere", {}, "there is no library at {folder}/nowhere; prompt-tuning library add"),
        ("empty", {}, "empty' is empty; add prompts with prompt-tuning library add"),
        ("run", {}, "run is a run's directory, not a library; put its prompts in one with"),
        ("other", {}, "has no prompt of t5_mini with 10 tokens to start from (1 of another back"),
        ("lib", {"PROMPT_LENGTH": 9}, "with 9 tokens to start from (2 of another length (10 tok"),
        ("lib", {"RETRIEVE_K": 0}, "LibrarySpotPlan.k (RETRIEVE_K) must be at least 1, not 0"),
        (
            "lib",
            {"LibrarySpotPlan.similarity": "mean"},
            "no similarity 'mean' (did you mean mean_",
        ),
        (
            "lib",
            {"MIXTURE_OR_TASK_NAME": ("mini_cr", "mini_sst2")},
            "a run has one target task, and",
        ),
        ("lib", {"MIXTURE_OR_TASK_NAME": None}, "no task is given; set MIXTURE_OR_TASK_NAME"),
        ("lib", {"TARGET_SEEDS": (0, 0)}, "two rows are called 'mini_yelp.embedding.seed0'"),
        ("lib", {"SOURCE_STEPS": 3}, "SOURCE_STEPS: it has no effect on 'library_spot'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    prompt_library: Path,
    cache_dir: Path,
    trained: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys,
    path: str,
    bindings: dict[str, Any],
    message: str,
):
    shutil.copytree(prompt_library, tmp_path / "lib")
    Library.create(tmp_path / "empty")
    (tmp_path / "run").symlink_to(trained)
    other = files.load(next(prompt_library.glob("prompts/*.safetensors")))
    foreign = {**other.metadata, "backbone": "t5_xl", "backbone_digest": "0" * 64}
    Library.create(tmp_path / "other").add([files.Prompt(other.array, foreign)])
    for each in ("lib", "other"):
        Library(tmp_path / each).entries()
    before = tree(tmp_path)
    settings = {"CACHE_DIR": str(cache_dir), "MODEL_DIR": str(tmp_path / "new"), **TINY, **TARGET}
    words = flags(**settings | bindings)
    assert here("spot", f"--library={tmp_path / path}", MINI, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prompt-tuning: error: ") and message.format(folder=tmp_path) in line
    assert tree(tmp_path) == before


def test_prompts_of_one_task_are_told_apart_by_seed_or_id():
    prompts = [
        Ranked("a-1", "a", "mini_cr", "0", "", 0.9),
        Ranked("b-2", "b", "mini_cr", "1", "", 0.8),
        Ranked("c-3", "c", "mini_sst2", "0", "", 0.7),
        Ranked("d-4", "d", "mini_rte", "0", "", 0.6),
        Ranked("e-5", "e", "mini_rte", "0", "", 0.5),
        Ranked("f-6", "f", "", "", "", 0.4),
    ]
    assert list(start_names(prompts).values()) == [
        *("mini_cr seed 0", "mini_cr seed 1", "mini_sst2", "d-4", "e-5", "f-6")
    ]


def test_another_command_takes_no_library(here: Callable[..., int], capsys):
    assert here("train", "--library=lib", "--gin_file=runs/train_mini.gin") == 2
    assert "--library: it has no effect on 'train'; leave it out" in capsys.readouterr().err


def test_help_tells_of_the_library(here: Callable[..., int], capsys):
    assert here("spot", "--help") == 0
    out = capsys.readouterr().out
    assert "  --library=DIRECTORY  " in out and "  RETRIEVE_K=3  " in out
    assert here("train", "--help") == 0
    assert "--library" not in capsys.readouterr().out
