"""Prompt tuning on the first rows of real datasets, from JSON lines to the report's table."""

import itertools
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from tests.cli.conftest import flags, launch

METRICS = {
    "glue_cola": "matthews",
    "glue_sst2": "accuracy",
    "glue_mrpc": "f1+accuracy",
    "glue_stsb": "pearson+spearman",
    "super_glue_rte": "accuracy",
    "super_glue_cb": "macro_f1+accuracy",
    "super_glue_copa": "accuracy",
    "super_glue_wsc": "accuracy",
    "super_glue_boolq": "accuracy",
    "snli": "accuracy",
    "imdb_reviews": "accuracy",
    "cr": "accuracy",
    "gem_common_gen": "bleu+rouge1+rouge2+rougeLsum",
}
LABELLED_TESTS = {"glue_sst2", "glue_mrpc", "glue_stsb", "snli", "imdb_reviews"}
FOLDERS = {"super_glue_wsc": "super_glue_wsc.fixed"}
ROWS = 24  # of each split


@pytest.fixture(scope="module")
def data_dir(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies the first rows of every split of every dataset."""
    folder = tmp_path_factory.mktemp("data")
    for task in METRICS:
        source = shared_data / FOLDERS.get(task, task)
        (folder / source.name).mkdir()
        for path in source.glob("*.jsonl"):
            with path.open(encoding="utf-8") as lines:
                head = "".join(itertools.islice(lines, ROWS))
            (folder / source.name / path.name).write_text(head, encoding="utf-8")
    return folder


def run(*words: str) -> str:
    process = launch(*words)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    return out


def test_t5_mini_runs_on_every_task_and_the_report_has_them(
    data_dir: Path, cache_dir: Path, tmp_path: Path
):
    settings = flags(
        MODEL_DIR=str(tmp_path / "run"),
        CACHE_DIR=str(cache_dir),
        DATA_DIR=str(data_dir),
        MIXTURE_OR_TASK_NAME=tuple(METRICS),
        TASK_FEATURE_LENGTHS={"inputs": 64, "targets": 16},
        TRAIN_STEPS=4,
        EVAL_PERIOD=4,
        BATCH_SIZE=4,
        PROMPT_LENGTH=4,
        Setup__shape_count=1,
    )
    run("train", "--gin_file=runs/train_mini.gin", *settings)
    rows = results.read(tmp_path / "run" / "results.json")
    assert {row["target"]: row["metric"] for row in rows} == METRICS
    assert {row["target"] for row in rows if row["split"] == "test"} == LABELLED_TESTS
    table = run("report", "--gin_file=defaults.gin", *flags(REPORT_DIRS=str(tmp_path / "run")))
    for row in rows:
        line = next(line for line in table.splitlines() if line.split()[:1] == [row["target"]])
        assert f"{row['score']:.1f}" in line
