"""Data of one's own through the commands: what they print and leave, resume, and refuse."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from tests.cli.conftest import (
    entries,
    flags,
    launch,
    prompts,
    run_listing_modules,
    tiny,
    tree,
)
from tests.data.user_task.conftest import REVIEWS, comma_separated

REVIEWS_CSV = comma_separated("text,label", REVIEWS)
STEPS = {"TRAIN_STEPS": 40, "EVAL_PERIOD": 20}
ROW = "reviews.class_labels.seed0"


@pytest.fixture(scope="module")
def own(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains on a file as the first command of the docs does; `output` and `modules` lie beside."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "reviews.csv").write_text(REVIEWS_CSV)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ["--gin.TASK_FILE='reviews.csv'"]
        words += [word for word in tiny(cache_dir, Path(), **STEPS) if "MODEL_DIR" not in word]
        out = run_listing_modules(folder / "modules", "train", *words)
    (folder / "output").write_text(out)
    return folder


def _words(folder: Path, cache_dir: Path, model_dir: Path, **bindings) -> list[str]:
    path = str(folder / "reviews.csv")
    return tiny(cache_dir, model_dir, **{"TASK_FILE": path, **STEPS, **bindings})


def _run(*words: str) -> None:
    """Runs a command in a process of its own, as the run it is compared with."""
    process = launch(*words)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


def test_a_file_alone_is_enough_to_train(own: Path):
    (row,) = results.read_records(own / "runs/reviews.train/results.json")
    assert (row["target"], row["metric"], row["split"]) == ("reviews", "accuracy", "test")
    assert [step for step, _ in row["curve"]] == [0, 20, 40]
    assert sorted(prompts(own / "runs/reviews.train")) == [
        f"prompts/{ROW}/best.safetensors",
        f"prompts/{ROW}/last.safetensors",
    ]
    losses = [e["loss_per_token"] for e in entries(own / "runs/reviews.train") if "loss" in e]
    assert sum(losses[-2:]) < sum(losses[:2])


def test_what_the_file_holds_and_which_model_reads_it_is_printed(own: Path):
    output = (own / "output").read_text()
    assert output.startswith(
        "No --gin_file is given, so this is runs/task_file.gin: a prompt of t5"
    )
    assert "Task 'reviews' from reviews.csv: 30 examples (24 train, 3 validation, 3 te" in output
    assert "--gin.TaskFile.label=\"'label'\"" in output
    assert "always answering 'good' would score 66.7 on test (accuracy)" in output


def test_the_process_imports_neither_tensorflow_nor_seqio(own: Path):
    modules = set(json.loads((own / "modules").read_text()))
    assert not modules & {"tensorflow", "tensorflow_datasets", "seqio", "t5", "clu"}


def test_the_configuration_that_is_kept_repeats_the_run(own: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(own)
    before = prompts(own / "runs/reviews.train")
    words = ["train", "--gin_file=runs/reviews.train/operative_config.gin"]
    _run(*words)
    assert prompts(own / "runs/reviews.train") == before
    _run(*words, *flags(MODEL_DIR="again"))
    assert prompts(own / "again") == before


def test_a_killed_run_ends_with_the_same_prompts(own: Path, cache_dir: Path, tmp_path: Path):
    words = ["--gin_file=runs/task_file.gin", *_words(own, cache_dir, tmp_path / "run")]
    process = launch("train", *words)
    journal = tmp_path / "run" / "metrics.jsonl"
    while process.poll() is None:
        if journal.is_file() and journal.read_bytes().count(b"\n") > 5:
            process.kill()
        time.sleep(0.002)
    process.communicate()
    assert process.returncode == -9
    _run("train", *words)
    assert prompts(tmp_path / "run") == prompts(own / "runs/reviews.train")


def test_a_changed_file_is_other_data(
    own: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(own / "runs/reviews.train", tmp_path / "run")
    (tmp_path / "reviews.csv").write_text(REVIEWS_CSV.replace("view annoys", "view angers"))
    before = tree(tmp_path)
    words = _words(tmp_path, cache_dir, tmp_path / "run")
    assert here("train", "--gin_file=runs/task_file.gin", *words) == 2
    assert "with other settings, data or model; give another MODEL_DIR" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_a_dry_run_shows_the_file_and_leaves_nothing(
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text(REVIEWS_CSV)
    words = flags(TASK_FILE="reviews.csv", CACHE_DIR=str(tmp_path / "cache"))
    assert here("train", "--dry_run", *words) == 0
    out = capsys.readouterr().out
    assert "MODEL_DIR = 'runs/reviews.train'" in out
    assert "30 examples" in out and "trainable parameters of a row" in out
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.csv"]


def test_a_model_file_alone_stands_on_the_defaults(
    own: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = flags(
        TASK_FILE=str(own / "reviews.csv"), TASK_FEATURE_LENGTHS={"inputs": 9, "targets": 9}
    )
    assert here("train", "--gin_file=models/t5_mini.gin", "--dry_run", *words) == 0
    out = capsys.readouterr().out
    assert "TRAIN_STEPS = 30000" in out and "30 of 30 inputs are cut to 9 tokens" in out
    assert "stand-in" not in out


def test_other_commands_know_the_task(
    own: Path, cache_dir: Path, tmp_path: Path, here: Callable[..., int], capsys
):
    words = flags(TASK_FILE=str(own / "reviews.csv"), CACHE_DIR=str(cache_dir))
    prompt = own / "runs/reviews.train/prompts" / ROW / "best.safetensors"
    given = flags(PROMPT_FILES=str(prompt), MODEL_DIR=str(tmp_path / "run"), SPLIT="validation")
    assert here("eval", *words, *given) == 0
    (row,) = results.read_records(tmp_path / "run/results.json")
    (trained,) = results.read_records(own / "runs/reviews.train/results.json")
    curve = dict(trained["curve"])
    assert (row["target"], row["split"]) == ("reviews", "validation")
    assert row["score"] == curve[trained["step"]]
    capsys.readouterr()
    assert here("cache", *words) == 0
    assert "reviews  train" in capsys.readouterr().out


def test_a_file_is_a_target_of_soft_prompt_transfer(
    own: Path, cache_dir: Path, tmp_path: Path, here: Callable[..., int]
):
    words = _words(
        own,
        cache_dir,
        tmp_path / "run",
        SOURCE_TASKS=("mini_yelp",),
        TARGET_TASKS=("reviews",),
        SOURCE_OF={"reviews": "mini_yelp"},
        TARGET_SEEDS=(0,),
        SOURCE_STEPS=4,
        TARGET_STEPS=4,
    )
    words = ["--gin.SpotPlan.baselines=(@ClassLabels(),)", *words]
    words = [w for w in words if "TRAIN_STEPS" not in w and "EVAL_PERIOD" not in w]
    assert here("spot", "--gin_file=runs/spot_mini.gin", *words) == 0
    rows = [
        r for r in results.read_records(tmp_path / "run/results.json") if r["target"] == "reviews"
    ]
    assert sorted((row["method"], row["init"]) for row in rows) == [
        ("prompt_tuning", "class_labels"),
        ("spot", "file"),
    ]


@pytest.mark.parametrize(
    ("content", "bindings", "message"),
    [
        ("text,label\na,x\nb,y,z\n", {}, "reviews.csv:3: 3 columns where the header names 2 (text"),
        ("text,label\na,x\n,y\n", {}, "reviews.csv:3: 'text' is empty; fix or remove it"),
        (REVIEWS_CSV, {"TASK_FILE": "review.csv"}, "review.csv: cannot read it (No such file"),
        (REVIEWS_CSV, {"TaskFile.lable": "x"}, "TaskFile has no parameter 'lable' (did you mean l"),
        (REVIEWS_CSV, {"TaskFile.label": "lable"}, "no column 'lable' (TaskFile.label) (did you"),
        (REVIEWS_CSV, {"TASK_FILE": 3}, "TASK_FILE (TaskFile.path uses it) must be a string or N"),
        (
            REVIEWS_CSV,
            {"MIXTURE_OR_TASK_NAME": "mini_sst2"},
            "TASK_FILE makes the task 'reviews', but the run uses mini_sst2; name it in",
        ),
        (REVIEWS_CSV, {"TASK_FILE": None}, "no task is given; set MIXTURE_OR_TASK_NAME to a task"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    content: str,
    bindings: dict,
    message: str,
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text(content)
    settings = {"TASK_FILE": "reviews.csv", "MODEL_DIR": "run", "CACHE_DIR": str(tmp_path / "c")}
    assert here("train", "--gin_file=runs/task_file.gin", *flags(**settings | bindings)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("prompt-tuning: error: ") and message in line
    assert not (tmp_path / "run").exists()


def test_real_reviews_are_a_task(
    shared_data: Path, cache_dir: Path, tmp_path: Path, here: Callable[..., int], capsys
):
    lines = {
        split: (shared_data / "cr" / f"{split}.jsonl").read_text().splitlines(keepends=True)
        for split in ("train", "validation")
    }
    path, validation = tmp_path / "customer reviews.jsonl", tmp_path / "dev.jsonl"
    path.write_text("".join(lines["train"]))
    validation.write_text("".join(lines["validation"][:100]))
    settings = {
        "TASK_FILE": str(path),
        "TaskFile.validation_file": str(validation),
        "TaskFile.label_words": {0: "bad", 1: "good"},
        "TRAIN_STEPS": 2,
        "EVAL_PERIOD": 2,
        "TuneConfig.eval_batch_size": 256,
    }
    words = tiny(cache_dir, tmp_path / "run", **settings)
    assert here("train", "--gin_file=runs/task_file.gin", *words) == 0
    (row,) = results.read_records(tmp_path / "run/results.json")
    assert (row["target"], row["split"]) == ("customer_reviews", "validation")
    out = capsys.readouterr().out
    assert "3,100 examples (3,000 train, 100 validation)" in out
    positive = sum(json.loads(line)["label"] for line in lines["validation"][:100])
    assert f"'good' would score {positive:.1f} on validation" in out
