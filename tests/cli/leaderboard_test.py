"""`leaderboard` writes the zip of a submission from prompts, on rows of the builders' structure."""

import dataclasses
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis.leaderboard import LEADERBOARDS
from prompt_tuning.analysis.leaderboard_check import faults
from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.prompts import files
from tests.cli.conftest import flags, tree

FIXTURES = Path(__file__).parents[1] / "data" / "datasets" / "fixtures"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Makes leaderboards that want the rows of the fixtures alone; returns a `DATA_DIR` of them."""
    for name, wanted in LEADERBOARDS.items():
        counted = []
        for file in wanted:
            rows = json.loads((FIXTURES / f"{file.task}.json").read_text())["rows"]
            folder = tmp_path / "data" / DATASETS[file.task].folder
            folder.mkdir(parents=True, exist_ok=True)
            for split, each in rows.items():
                text = "".join(json.dumps(row) + "\n" for row in each)
                (folder / f"{split}.jsonl").write_text(text)
            half = "test" + "".join(f"_{value}" for value in file.where.values())
            counted.append(dataclasses.replace(file, count=len(rows[half])))
        monkeypatch.setitem(LEADERBOARDS, name, tuple(counted))  # pyright: ignore[reportArgumentType]
    return tmp_path / "data"


def prompts(trained: Path, folder: Path, benchmark: str, *left_out: str) -> list[str]:
    """Writes a prompt for each task of a benchmark, as a training run leaves them."""
    known = files.load(trained / "prompts" / "mini_sst2.class_labels.seed0" / "best.safetensors")
    for task in {file.prompted_by for file in LEADERBOARDS[benchmark]} - set(left_out):
        for seed, score in ((0, 50.0), (1, 60.0)):
            path = folder / "run" / "prompts" / f"{task}.seed{seed}" / "best.safetensors"
            path.parent.mkdir(parents=True)
            changes = {"task": f"{task}_unprefixed", "metrics": json.dumps({"validation": score})}
            files.save(path, files.Prompt(known.array, {**known.metadata, **changes}))
    return [str(folder / "run")]


def words(small: Path, cache_dir: Path, output: Path, benchmark: str, found: list[str]) -> list:
    return flags(
        CACHE_DIR=str(cache_dir),
        DATA_DIR=str(small),
        LEADERBOARD=benchmark,
        PROMPT_FILES=tuple(found),
        OUTPUT_FILE=str(output),
        TASK_FEATURE_LENGTHS={"inputs": 64, "targets": 16},
        Setup__shape_count=1,
        Prompts__batch_size=4,
    )


@pytest.mark.parametrize("benchmark", LEADERBOARDS)
def test_every_file_is_answered_by_the_best_prompt_of_its_task(
    small: Path,
    trained: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    benchmark: str,
):
    found = prompts(trained, tmp_path, benchmark, "glue_wnli")
    output = tmp_path / "out" / "submission.zip"
    given = words(small, cache_dir, output, benchmark, found)
    assert here("leaderboard", "--gin_file=runs/train_mini.gin", *given) == 0
    out = capsys.readouterr().out
    assert faults(output, LEADERBOARDS[benchmark]) == []
    assert list(tree(output.parent)) == ["submission.zip"]
    assert "seed1/best.safetensors" in out
    assert "seed0/best.safetensors" not in out
    with zipfile.ZipFile(output) as archive:
        if benchmark == "glue":
            assert archive.read("WNLI.tsv").decode() == "index\tprediction\n0\t0\n"
            assert "WNLI.tsv: 1 answers; all 0, as there is no prompt" in out
        else:
            (line,) = archive.read("MultiRC.jsonl").decode().splitlines()
            assert json.loads(line)["passage"]["questions"][0]["answers"][0]["idx"] == 0
    # Where rows are missing, nothing is written over what is there.
    before = tree(output.parent)
    whole = tuple(dataclasses.replace(file, count=9) for file in LEADERBOARDS[benchmark])
    monkeypatch.setitem(LEADERBOARDS, benchmark, whole)  # pyright: ignore[reportArgumentType]
    assert here("leaderboard", "--gin_file=runs/train_mini.gin", *given) == 2
    assert f"{whole[0].name}: 1 answers, not 9 (and" in capsys.readouterr().err
    assert tree(output.parent) == before


def test_missing_prompts_are_named_before_anything_is_opened(
    small: Path,
    trained: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    found = prompts(trained, tmp_path, "glue", "glue_wnli", "glue_mnli", "glue_qqp")
    given = words(small, cache_dir, tmp_path / "out.zip", "glue", found)
    assert here("leaderboard", "--gin_file=runs/train_mini.gin", *given) == 2
    told = capsys.readouterr().err
    assert "no prompt for glue_qqp, glue_mnli: the site" in told
    assert told.count(os.linesep) == 1
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize(
    ("benchmark", "found", "message"),
    [
        ("gleu", [], "LEADERBOARD 'gleu' is none of glue, super_glue (did you mean glue"),
        ("glue", ["."], "has no prompts/*/best.safetensors"),
        ("glue", ["nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    benchmark: str,
    found: list[str],
    message: str,
):
    given = words(tmp_path, tmp_path / "cache", tmp_path / "out.zip", benchmark, found)
    assert here("leaderboard", "--gin_file=runs/train_mini.gin", *given) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count(os.linesep) == 1
