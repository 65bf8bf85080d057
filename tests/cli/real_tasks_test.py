"""Prompt tuning on the first rows of real datasets, from JSON lines to the report's table."""

import itertools
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from prompt_tuning.analysis import results
from prompt_tuning.models.family import parameter_shapes
from prompt_tuning.models.formats.t5x import write_t5x
from prompt_tuning.models.parameters import in_memory
from prompt_tuning.models.t5.config import T5Config
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
T5_SMALL = T5Config(
    name="t5_1_1_small",
    vocab_size=32128,
    emb_dim=512,
    num_heads=6,
    head_dim=64,
    mlp_dim=1024,
    num_encoder_layers=8,
    num_decoder_layers=8,
    activations=("gelu", "linear"),
    tied_embeddings=False,
)
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


@pytest.fixture(scope="module")
def t5_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes a T5 1.1 small with random weights as T5X would."""
    folder = tmp_path_factory.mktemp("t5_1_1_small") / "checkpoint_1000000"
    folder.mkdir()
    random = np.random.default_rng(0)
    flat = {
        name: random.standard_normal(shape, np.float32) / np.sqrt(np.float32(shape[0]))
        for name, shape in parameter_shapes(T5_SMALL).items()
    }
    write_t5x(folder, in_memory(unflatten_dict(flat, sep="/")), step=1_000_000)
    return folder


def check(run_dir: Path, tasks: Collection[str], *words: str) -> None:
    """Trains on tasks, and looks for each score in the report's table."""
    settings = flags(
        MODEL_DIR=str(run_dir),
        MIXTURE_OR_TASK_NAME=tuple(tasks),
        TASK_FEATURE_LENGTHS={"inputs": 64, "targets": 16},
        BATCH_SIZE=4,
        PROMPT_LENGTH=4,
        Setup__shape_count=1,
    )
    run("train", *words, *settings)
    rows = results.read_records(run_dir / "results.json")
    assert {row["target"]: row["metric"] for row in rows} == {t: METRICS[t] for t in tasks}
    tested = {row["target"] for row in rows if row["split"] == "test"}
    assert tested == LABELLED_TESTS & set(tasks)
    table = run("report", "--gin_file=defaults.gin", *flags(REPORT_DIRS=str(run_dir)))
    for row in rows:
        line = next(line for line in table.splitlines() if line.split()[:1] == [row["target"]])
        assert f"{row['score']:.1f}" in line


def test_t5_mini_runs_on_every_task(data_dir: Path, cache_dir: Path, tmp_path: Path):
    where = flags(CACHE_DIR=str(cache_dir), DATA_DIR=str(data_dir))
    check(
        tmp_path / "run",
        METRICS,
        "--gin_file=runs/train_mini.gin",
        *where,
        *flags(TRAIN_STEPS=4, EVAL_PERIOD=4),
    )


@pytest.mark.timeout(900)  # 77 million parameters, on what may be a busy machine
def test_t5_small_from_a_t5x_checkpoint_runs_on_tasks_of_each_kind(
    data_dir: Path, cache_dir: Path, shared_data: Path, t5_small: Path, tmp_path: Path
):
    where = flags(
        CACHE_DIR=str(cache_dir),
        DATA_DIR=str(data_dir),
        INITIAL_CHECKPOINT_PATH=str(t5_small),
        VOCABULARY=str(shared_data / "t5" / "spiece.model"),
    )
    files = ("defaults.gin", "models/t5_1_1_small.gin", "prompts/class_labels.gin")
    check(
        tmp_path / "run",
        ("glue_cola", "glue_stsb", "super_glue_copa", "gem_common_gen"),
        *(f"--gin_file={file}" for file in files),
        *where,
        *flags(TRAIN_STEPS=2, EVAL_PERIOD=2, DROPOUT_RATE=0.0, TuneConfig__eval_batch_size=24),
    )
