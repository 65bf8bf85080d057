"""`study` in processes of its own: its rows, its library and report, and its resumption."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.prompts import files
from prompt_tuning.transfer.library.library import Library
from tests.cli.conftest import flags, launch, prompts, run_listing_modules, tiny, tree
from tests.cli.killing import run_with_interruptions

TINY_STUDY = {
    "SOURCE_TASKS": ("mini_sst2", "mini_yelp"),
    "TARGET_TASKS": ("mini_cr",),
    "SOURCE_SEEDS": (0, 1),
    "TARGET_SEEDS": (0,),
    "EMBEDDING_STEPS": 6,
    "SOURCE_STEPS": 16,
    "MIXTURE_STEPS": 8,
    "TARGET_STEPS": 12,
    "embedding/Schedule.eval_period": 6,
    "source/Schedule.eval_period": 8,
    "mixture/Schedule.eval_period": 8,
    "target/Schedule.eval_period": 6,
    "StudyPlan.best_of": (1, 2, 4),
    "StudyPlan.averages": (2,),
    "StudyPlan.mixtures": (1,),
}
STUDY = "--gin_file=runs/study_mini.gin"


@pytest.fixture(scope="module")
def studied(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs two sources of two seeds and a target of one; `output` lies beside the run."""
    folder = tmp_path_factory.mktemp("study")
    words = tiny(cache_dir, folder / "run", **TINY_STUDY)
    out = run_listing_modules(folder / "modules", "study", STUDY, *words)
    (folder / "output").write_text(out)
    return folder / "run"


def test_every_way_of_transfer_has_its_results(studied: Path):
    rows = results.read_records(studied / "results.json")
    on_target = [row for row in rows if row["target"] == "mini_cr"]
    counts: dict[str, int] = {}
    for row in on_target:
        counts[row["method"]] = counts.get(row["method"], 0) + 1
    assert counts == {
        "task_embedding": 1,
        "prompt_tuning": 1,
        "spot": 4,
        "top_k_weighted_average": 2,
        "top_k_multitask_mixture": 2,
    }
    assert {row["source"] for row in on_target if row["method"] == "spot"} == {
        f"{source} seed {seed}" for source in ("mini_sst2", "mini_yelp") for seed in (0, 1)
    }


def test_the_library_has_the_prompts_with_the_embeddings_they_are_found_by(studied: Path):
    library = Library(studied / "library")
    rows = results.read_records(studied / "results.json")
    kept = [row for row in rows if row["target"] in (*TINY_STUDY["SOURCE_TASKS"], "mini_cr")]
    kept = [row for row in kept if row["method"] != "task_embedding"]
    assert len(library.entries()) == len(kept)
    source = library.load(library.find("mini_yelp.source.seed1"))
    embedding = files.load(studied / "prompts/mini_yelp.embedding.seed1/last.safetensors")
    assert source.embedding is not None
    assert source.embedding.tobytes() == embedding.array.tobytes()
    assert source.metadata["embedding_step"] == "6"
    target = library.load(library.find("mini_cr.from.mini_yelp.seed1.seed0"))
    assert target.metadata["init"] == files.digest(source.array)
    embedding = files.load(studied / "prompts/mini_cr.embedding.seed0/last.safetensors")
    assert target.embedding is not None
    assert target.embedding.tobytes() == embedding.array.tobytes()


def test_the_report_is_there_and_said_to_be(studied: Path):
    page = (studied / "report/index.html").read_text()
    assert "mini_yelp" in page and "mini_cr" in page and "StudyPlan.best_of = (1, 2, 4)" in page
    output = (studied.parent / "output").read_text()
    assert "index.html" in output and "best of top-k" in output


def test_the_process_imports_neither_tensorflow_nor_seqio(studied: Path):
    modules = set(json.loads((studied.parent / "modules").read_text()))
    assert not modules & {"tensorflow", "tensorflow_datasets", "seqio"}


def test_a_second_run_trains_nothing(studied: Path, here: Callable[..., int]):
    before = tree(studied)
    assert here("study", f"--gin_file={studied / 'operative_config.gin'}") == 0
    assert tree(studied) == before


def test_killed_studies_end_with_the_same_prompts(studied: Path, tmp_path: Path):
    run_with_interruptions("study", studied / "operative_config.gin", tmp_path / "run", seed=2)
    assert prompts(tmp_path / "run") == prompts(studied)


def test_other_k_need_no_training(studied: Path, here: Callable[..., int]):
    before = prompts(studied)
    config = f"--gin_file={studied / 'operative_config.gin'}"
    assert here("study", config, "--gin.StudyPlan.best_of=(1, 3)") == 0
    assert prompts(studied) == before
    assert "StudyPlan.best_of = (1, 3)" in (studied / "report/index.html").read_text()


def test_a_study_whose_settings_changed_is_refused(
    studied: Path, here: Callable[..., int], capsys: pytest.CaptureFixture
):
    before = prompts(studied)
    config = f"--gin_file={studied / 'operative_config.gin'}"
    assert here("study", config, "--gin.TARGET_STEPS=13") == 2
    message = capsys.readouterr().err
    assert "of the same name with other settings" in message and message.count("\n") == 1
    assert prompts(studied) == before


def test_report_reads_a_study_like_any_run(studied: Path, tmp_path: Path, here: Callable[..., int]):
    words = flags(REPORT_DIRS=str(studied), REPORT_OUTPUT=str(tmp_path / "report"))
    assert here("report", *words) == 0
    assert "mini_yelp seed 1" in (tmp_path / "report/tasks.md").read_text()


def test_a_dry_run_says_how_many_rows_there_are(tmp_path: Path):
    words = flags(MODEL_DIR=str(tmp_path / "run"), CACHE_DIR=str(tmp_path / "cache"))
    process = launch("study", STUDY, "--dry_run", *words)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "1,440 targets from source prompts, of 160 steps" in out
    assert "48 source prompts, of 400 steps" in out and "300,720" in out
    assert not list(tmp_path.iterdir())
