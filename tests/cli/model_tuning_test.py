"""`train` with the model as what is tuned: multi-task model tuning, and its models as backbones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.prompts import files
from tests.cli.conftest import flags, tiny

SOURCE = "mini_sst2.source.seed0"
SHORT = {"TRAIN_STEPS": 2, "EVAL_PERIOD": 2}


def _words(cache_dir: Path, model_dir: Path, **bindings) -> list[str]:
    method = ["--gin_file=runs/train_mini.gin", "--gin_file=methods/multi_task_model_tuning.gin"]
    settings = {
        "SOURCE_STEPS": 4,
        "SOURCE_TASK": "mini_sst2",
        "MIXTURE_OR_TASK_NAME": ("mini_cr",),
        "train__save_steps": (1,),
    }
    words = tiny(cache_dir, model_dir, **SHORT, **{**settings, **bindings})
    words = [word for word in words if "PROMPT_LENGTH" not in word and "TuneConfig" not in word]
    return ["train", *method, *words]


@pytest.fixture
def tuned(cache_dir: Path, tmp_path: Path, here: Callable[..., int]) -> Path:
    assert here(*_words(cache_dir, tmp_path / "models")) == 0
    return tmp_path / "models"


def test_targets_start_from_the_source_and_models_are_backbones(
    tuned: Path, cache_dir: Path, tmp_path: Path, here: Callable[..., int]
):
    rows = results.read_records(tuned / "results.json")
    assert [(row["method"], row["source"], row["target"]) for row in rows] == [
        ("model_tuning", None, "mini_sst2"),
        ("multi_task_model_tuning", "mini_sst2", "mini_cr"),
    ]
    assert [row["init"] for row in rows] == ["pretrained", "file"]
    assert (tuned / "models" / "mini_cr.transfer.seed0.step_1" / "weights.safetensors").is_file()

    path = str(tuned / "models" / SOURCE)
    words = tiny(cache_dir, tmp_path / "prompts", INITIAL_CHECKPOINT_PATH=path, **SHORT)
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 0
    prompt = tmp_path / "prompts" / "prompts" / "mini_sst2.class_labels.seed0" / "best.safetensors"
    assert files.load(prompt).metadata["backbone"] == f"t5_mini.{SOURCE}"


def test_prompts_are_tuned_on_a_model_after_each_number_of_steps_of_lm_adaptation(
    data_dir: Path, cache_dir: Path, tmp_path: Path, here: Callable[..., int]
):
    settings = {"DATA_DIR": str(data_dir), "train__save_steps": (1, 2), **SHORT}
    whole = "--gin.TuneConfig.microbatch_positions=None"
    words = tiny(cache_dir, tmp_path / "lm", **settings)
    words = [word for word in words if "PROMPT_LENGTH" not in word and "TuneConfig" not in word]
    files = ["--gin_file=runs/lm_adaptation.gin", "--gin_file=models/t5_mini.gin"]
    assert here("train", *files, whole, *words) == 0
    (row,) = results.read_records(tmp_path / "lm" / "results.json")
    assert (row["method"], row["metric"]) == ("model_tuning", "token_probability")

    kept = tmp_path / "lm" / "models" / "c4_prefix_lm.pretrained.seed0"
    sweep = {
        f"lm_steps={n}": {"INITIAL_CHECKPOINT_PATH": f"{kept}.step_{n}" if n else "t5_mini"}
        for n in (0, 2)
    }
    words = tiny(cache_dir, tmp_path / "prompts", SWEEP=sweep, **SHORT)
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 0
    backbones = {
        results.read_records(tmp_path / "prompts" / point / "results.json")[0]["backbone"]
        for point in sweep
    }
    assert backbones == {"t5_mini", "t5_mini.c4_prefix_lm.pretrained.seed0"}


def test_prompts_do_not_go_where_models_are(
    tuned: Path, cache_dir: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = tiny(cache_dir, tuned, **SHORT)
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 2
    assert "holds models of another run; give another one" in capsys.readouterr().err


def test_a_dry_run_counts_the_whole_model(
    tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    assert here(*_words(tmp_path / "cache", tmp_path / "run"), "--dry_run") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [*"trainable parameters of a row".split(), "436,352"] in lines
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "bindings", "message"),
    [
        ("model_tuning", {"PROMPT_INIT": "@ClassLabels()"}, "set train.start to @Pretrained()"),
        ("model_tuning", {"PARAM_DTYPE": "'bfloat16'"}, "PARAM_DTYPE is 'bfloat16', too coarse"),
        ("multi_task_model_tuning", {}, "SOURCE_TASK (SourceStage.task uses it) is not set"),
        ("model_tuning", {"LOG_PERIOD": "0"}, "TuneConfig.log_period must be"),
    ],
)
def test_a_mistake_is_one_line(
    method: str,
    bindings: dict[str, str],
    message: str,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    words = [f"--gin.{name}={value}" for name, value in bindings.items()]
    words += [*flags(MODEL_DIR=str(tmp_path / "run")), "--dry_run"]
    method = f"--gin_file=methods/{method}.gin"
    assert here("train", "--gin_file=runs/train_mini.gin", method, *words) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
