"""`spot` in processes of its own: its report, its reuse of what is done, and its resumption."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.prompts import files
from tests.cli.conftest import entries, flags, launch, prompts, run_listing_modules, tiny, tree
from tests.cli.killing import run_with_interruptions

TINY_TRANSFER = {
    "SOURCE_TASKS": ("mini_yelp",),
    "TARGET_TASKS": ("mini_cr",),
    "SOURCE_OF": {"mini_cr": "mini_yelp"},
    "TARGET_SEEDS": (0, 1),
    "SOURCE_STEPS": 24,
    "TARGET_STEPS": 16,
    "source/Schedule.eval_period": 8,
    "target/Schedule.eval_period": 4,
}
STARTS = [("prompt_tuning", "class_labels"), ("prompt_tuning", "sampled_vocab"), ("spot", "file")]


@pytest.fixture(scope="module")
def transferred(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs one source and one target of two seeds from three starts; `output` lies beside."""
    folder = tmp_path_factory.mktemp("spot")
    words = tiny(cache_dir, folder / "run", **TINY_TRANSFER)
    out = run_listing_modules(folder / "modules", "spot", "--gin_file=runs/spot_mini.gin", *words)
    (folder / "output").write_text(out)
    return folder / "run"


def test_results_have_every_run_and_their_summary(transferred: Path):
    content = json.loads((transferred / "results.json").read_text())
    assert set(content) == {"rows", "summary"}
    rows = results.read_records(transferred / "results.json")
    on_target = [row for row in rows if row["target"] == "mini_cr"]
    assert sorted((row["method"], row["init"], row["seed"]) for row in on_target) == sorted(
        (*start, seed) for start in STARTS for seed in (0, 1)
    )
    assert {row["source"] for row in on_target if row["method"] == "spot"} == {"mini_yelp"}
    assert all([step for step, _ in row["curve"]] == [0, 4, 8, 12, 16] for row in on_target)
    for row in rows:
        best = max(score for _, score in row["curve"])
        assert row["step"] == next(step for step, score in row["curve"] if score == best)
        assert row["steps"] == (24 if row["target"] == "mini_yelp" else 16)
    spot = [row["score"] for row in on_target if row["method"] == "spot"]
    summary = next(line for line in content["summary"] if line["method"] == "spot")
    assert (summary["mean"], summary["n"]) == (sum(spot) / 2, 2)


def test_the_report_has_the_table_and_the_curves(transferred: Path):
    report = transferred / "report"
    assert sorted(path.name for path in report.iterdir()) == ["curves.png", "spot.csv", "spot.md"]
    assert (report / "curves.png").read_bytes().startswith(b"\x89PNG")
    for name in ("spot.md", "spot.csv"):
        assert "mini_cr" in (report / name).read_text()
    output = (transferred.parent / "output").read_text()
    assert "mini_cr" in output and "curves.png" in output


def test_targets_start_from_the_best_prompt_of_their_source(transferred: Path):
    source = files.load(transferred / "prompts/mini_yelp.source.seed0/best.safetensors").array
    for seed in (0, 1):
        last = files.load(transferred / f"prompts/mini_cr.spot.seed{seed}/last.safetensors")
        assert last.metadata["init"] == files.digest(source)


def test_the_process_imports_neither_tensorflow_nor_seqio(transferred: Path):
    modules = set(json.loads((transferred.parent / "modules").read_text()))
    assert not modules & {"tensorflow", "tensorflow_datasets", "seqio"}


def test_a_second_run_trains_nothing(transferred: Path, here: Callable[..., int]):
    def kept() -> dict[str, bytes | None]:
        # PNG files hold no time, so the whole report is drawn again as it was.
        return tree(transferred)

    before = kept()
    assert here("spot", f"--gin_file={transferred / 'operative_config.gin'}") == 0
    assert kept() == before


def test_killed_runs_end_with_the_same_prompts(transferred: Path, tmp_path: Path):
    run_with_interruptions("spot", transferred / "operative_config.gin", tmp_path / "run", seed=1)
    assert prompts(tmp_path / "run") == prompts(transferred)

    def known(folder: Path) -> list[str]:
        return sorted(json.dumps(entry, sort_keys=True) for entry in entries(folder))

    assert known(tmp_path / "run") == known(transferred)


def test_a_dry_run_leaves_nothing(tmp_path: Path):
    words = flags(MODEL_DIR=str(tmp_path / "run"), CACHE_DIR=str(tmp_path / "cache"))
    process = launch("spot", "--gin_file=runs/spot_mini.gin", "--dry_run", *words)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    # 16 sources, and 10 targets of 3 seeds from 3 starts.
    assert "rows (prompts to train)" in out and " 106" in out
    assert not list(tmp_path.iterdir())
