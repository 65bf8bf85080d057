"""Bad input to any command: one line that says what, where and what to do, and no new file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.prompts import files
from tests.cli.conftest import TINY, flags, tree
from tests.cli.spot_test import TINY_TRANSFER

RUNS = {"spot": "runs/spot_mini.gin"}
SST2 = "prompts/mini_sst2.class_labels.seed0/best.safetensors"
QUESTION = '{"inputs": "the film was warm"}\n'

Bindings = Mapping[str, Any]


@pytest.fixture
def folder(tmp_path: Path, trained: Path) -> Path:
    """Returns a folder with a sound prompt file and unsound ones, and files to answer."""
    content = (trained / SST2).read_bytes()
    sound = files.load(trained / SST2)
    (tmp_path / "sound.safetensors").write_bytes(content)
    (tmp_path / "cut.safetensors").write_bytes(content[:-100])
    (tmp_path / "text.safetensors").write_text("a prompt")
    np.save(tmp_path / "wide.npy", np.zeros((10, 65), np.float32))
    np.save(tmp_path / "short.npy", np.zeros((9, 64), np.float32))
    other = {**sound.metadata, "backbone": "t5_xl", "backbone_digest": "0" * 64}
    files.save(tmp_path / "foreign.safetensors", files.Prompt(sound.array, other))
    (tmp_path / "questions.jsonl").write_text(QUESTION)
    (tmp_path / "bad.jsonl").write_text(QUESTION + "\n{'inputs': 'x'}\n")
    (tmp_path / "unknown_prompt.jsonl").write_text('{"inputs": "x", "prompt": "mini_sst"}\n')
    (tmp_path / "no_inputs.jsonl").write_text('{"input": "x"}\n')
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "misspelt.gin").write_text('include "runs/train_mini.gin"\nTRAIN_STEP = 3\n')
    return tmp_path


def _bindings(command: str, folder: Path, cache_dir: Path) -> dict[str, Any]:
    """Returns what a sound run of a command in `folder` binds."""
    sound = str(folder / "sound.safetensors")
    infer = {"INPUT_FILE": str(folder / "questions.jsonl"), "OUTPUT_FILE": str(folder / "answers")}
    of_command = {
        "train": {"MODEL_DIR": str(folder / "run"), **TINY},
        "spot": {"MODEL_DIR": str(folder / "run"), **TINY, **TINY_TRANSFER},
        "eval": {"MODEL_DIR": str(folder / "run"), "PROMPT_FILES": sound},
        "infer": {"PROMPT_FILES": sound, **infer},
        "cache": {"CACHE_TASKS": "mini_sst2"},
    }
    return {"CACHE_DIR": str(cache_dir), **of_command[command]}


def _fails(
    command: str,
    words: list[str],
    message: str,
    folder: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asserts that a command fails with one line that holds `message`, and changes no file."""
    before = tree(folder)
    assert here(command, *words) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("prompt-tuning: error: ")
    assert message.replace("{folder}", str(folder)) in lines[0]
    assert tree(folder) == before


CASES: list[tuple[str, Bindings, str]] = [
    # Names
    ("train", {"TRAIN_STEP": 3}, "--gin.TRAIN_STEP: nothing uses the macro TRAIN_STEP (did you"),
    ("train", {"Schedule.step": 3}, "--gin.Schedule.step: Schedule has no parameter 'step' (did"),
    ("train", {"Schedul.steps": 3}, "nothing configurable is called 'Schedul' (did you mean Sched"),
    ("train", {"SPLIT": "test"}, "--gin.SPLIT: it has no effect on 'train'"),
    ("train", {"INITIAL_CHECKPOINT_PATH": "t5_min"}, "t5_min: no such name or directory (did you"),
    (
        "train",
        {"TuneConfig.placement": "prefx"},
        "no placement is called 'prefx' (did you mean prefix",
    ),
    ("train", {"COMPUTE_DTYPE": "float23"}, "no compute dtype 'float23' (did you mean float32"),
    (
        "train",
        {"MIXTURE_OR_TASK_MODULE": ("no.module",)},
        "cannot import the task module 'no.module'",
    ),
    ("spot", {"SpotPlan.similarity": "mean_tok"}, "no similarity 'mean_tok' (did you mean mean_"),
    ("spot", {"SOURCE_OF": {"mini_cr": "mini_yelpp"}}, "among the sources (did you mean mini_yelp"),
    ("eval", {"SPLIT": "tests"}, "task mini_sst2 has no split 'tests' (did you mean test?)"),
    ("eval", {"SPLIT": "train"}, "the train split of mini_sst2 holds only tokens and cannot be"),
    # Numbers
    ("train", {"TRAIN_STEPS": -5}, "Schedule.steps must be a positive whole number, not -5"),
    ("train", {"TRAIN_STEPS": 2.5}, "TRAIN_STEPS (Schedule.steps uses it) must be an integer"),
    ("train", {"BATCH_SIZE": 0}, "batch_size must be a positive whole number, not 0"),
    ("train", {"LEARNING_RATE": -0.3}, "learning_rate must be above 0 and finite, not -0.3"),
    ("train", {"DROPOUT_RATE": 1.5}, "dropout_rate must be in [0, 1), not 1.5"),
    ("train", {"PROMPT_LENGTH": 0}, "PromptTable.length must be at least 1, not 0"),
    ("train", {"RANDOM_SEED": -1}, "seed must be a whole number in [0, 2**32), not -1"),
    ("train", {"RANDOM_SEED": "one"}, "RANDOM_SEED (train.seeds uses it) must be an integer or"),
    ("train", {"RANDOM_SEED": (1, 1)}, "two rows are called 'mini_sst2.class_labels.seed1'"),
    ("train", {"RANDOM_SEED": ()}, "there is nothing to train; give at least one task and one"),
    ("train", {"train.save_steps": (500,)}, "save_steps has step 500, but rows train 400 steps"),
    ("train", {"TuneConfig.slots": 0}, "TuneConfig.slots must be at least 1, not 0"),
    ("train", {"Setup.shape_count": 0}, "shape_count must be at least 1, not 0"),
    ("train", {"TASK_FEATURE_LENGTHS": {"inputs": 64}}, "feature lengths are given for inputs;"),
    ("eval", {"Prompts.batch_size": 0}, "evaluation batch size must be at least 1, not 0"),
    ("infer", {"infer.max_target_tokens": 0}, "max_target_tokens must be at least 1, not 0"),
    (
        "infer",
        {"DECODER": "greedy"},
        "must be a Decoder, given as a reference @NAME(), not 'greedy'",
    ),
    # Directories
    ("train", {"MODEL_DIR": "{folder}/empty.jsonl/run"}, "MODEL_DIR '{folder}/empty.jsonl/run': "),
    ("spot", {"MODEL_DIR": "{folder}/empty.jsonl/run"}, "MODEL_DIR '{folder}/empty.jsonl/run': "),
    ("eval", {"MODEL_DIR": "{folder}/empty.jsonl/run"}, "MODEL_DIR '{folder}/empty.jsonl/run': "),
    ("cache", {"CACHE_DIR": "{folder}/empty.jsonl"}, "{folder}/empty.jsonl"),
    ("infer", {"OUTPUT_FILE": "{folder}/empty.jsonl/answers"}, "{folder}/empty.jsonl"),
    # Files
    ("eval", {"PROMPT_FILES": "{folder}/none.npy"}, "{folder}/none.npy: cannot read it (No such"),
    ("eval", {"PROMPT_FILES": ()}, "no prompt files are given; set PROMPT_FILES"),
    ("eval", {"PROMPT_FILES": "{folder}/cut.safetensors"}, "{folder}/cut.safetensors: damaged, or"),
    ("eval", {"PROMPT_FILES": "{folder}/text.safetensors"}, "{folder}/text.safetensors: damaged"),
    ("eval", {"PROMPT_FILES": "{folder}/wide.npy"}, "{folder}/wide.npy: prompt without metadata"),
    (
        "eval",
        {"PROMPT_FILES": "{folder}/short.npy"},
        "the prompt 'short' does not name its task",
    ),
    (
        "eval",
        {"PROMPT_FILES": ("{folder}/sound.safetensors", "{folder}/short.npy")},
        "{folder}/short.npy: prompt without metadata is not for this run: it has prompt length 9",
    ),
    ("infer", {"PROMPT_FILES": "{folder}/foreign.safetensors"}, "it has backbone t5_xl (need t5_m"),
    (
        "infer",
        {"INPUT_FILE": "{folder}/none.jsonl"},
        "cannot read input_file '{folder}/none.jsonl'",
    ),
    ("infer", {"INPUT_FILE": "{folder}/bad.jsonl"}, "{folder}/bad.jsonl:3: not JSON"),
    ("infer", {"INPUT_FILE": "{folder}/no_inputs.jsonl"}, 'no_inputs.jsonl:1: no text under "inp'),
    ("infer", {"INPUT_FILE": "{folder}/empty.jsonl"}, "empty.jsonl' has no lines to answer"),
    (
        "infer",
        {"INPUT_FILE": "{folder}/unknown_prompt.jsonl"},
        "no prompt is called 'mini_sst'; the prompts are mini_sst2.class_labels.seed0",
    ),
]


@pytest.mark.parametrize(
    ("command", "bindings", "message"), CASES, ids=[f"{c}-{m[:40]}" for c, _, m in CASES]
)
def test_a_value_that_cannot_be(
    folder: Path,
    cache_dir: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    command: str,
    bindings: Bindings,
    message: str,
):
    settings = _bindings(command, folder, cache_dir) | _placed(bindings, folder)
    words = [f"--gin_file={RUNS.get(command, 'runs/train_mini.gin')}", *flags(**settings)]
    _fails(command, words, message, folder, here, capsys)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("none.safetensors", "{folder}/none.safetensors: cannot read it (No such file"),
        ("cut.safetensors", "{folder}/cut.safetensors: damaged, or neither safetensors nor"),
        (
            "short.npy",
            "{folder}/short.npy: prompt without metadata is not for this run: it has pro",
        ),
        ("wide.npy", "it has hidden size 65 (need 64); use a prompt tuned on this backbone"),
        ("foreign.safetensors", "it has backbone t5_xl (need t5_mini), backbone digest 0000"),
    ],
)
def test_a_prompt_to_start_from_that_does_not_fit(
    folder: Path,
    cache_dir: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    file: str,
    message: str,
):
    settings = _bindings("train", folder, cache_dir) | {"PROMPT_FILE": str(folder / file)}
    names = ["--gin_file=runs/train_mini.gin", "--gin_file=prompts/file.gin"]
    _fails("train", [*names, *flags(**settings)], message, folder, here, capsys)


def test_labels_are_needed_to_rank(
    folder: Path, cache_dir: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = ["--gin_file=runs/train_mini.gin", "--gin.DECODER=@Rank()"]
    sound = files.load(folder / "sound.safetensors")
    del sound.metadata["label_words"]
    files.save(folder / "sound.safetensors", sound)
    words += flags(**_bindings("infer", folder, cache_dir))
    _fails("infer", words, "@Rank() needs labels, and the file of prompt", folder, here, capsys)


def test_class_labels_of_a_task_without_any(
    folder: Path, cache_dir: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    settings = _bindings("train", folder, cache_dir) | {"CLASS_LABELS": ()}
    words = ["--gin_file=runs/train_mini.gin", *flags(**settings)]
    _fails("train", words, "class labels: there are no labels; give some", folder, here, capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gin_file=runs/train_min.gin"], "'runs/train_min.gin' not found (did you mean runs/tr"),
        (["--gin_file={folder}/misspelt.gin"], "{folder}/misspelt.gin:2: nothing uses the macro"),
        (["--gin_file=runs/train_mini.gin"], "MODEL_DIR (Run.model_dir uses it) is not set; add"),
    ],
)
def test_a_gin_file_that_cannot_be_used(
    folder: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
):
    words = [word.replace("{folder}", str(folder)) for word in words]
    _fails("train", words, message, folder, here, capsys)


def test_a_task_that_is_not_there(
    folder: Path, cache_dir: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    settings = _bindings("train", folder, cache_dir) | {"MIXTURE_OR_TASK_NAME": "mini_sst3"}
    words = ["--gin_file=runs/train_mini.gin", *flags(**settings)]
    _fails("train", words, "mini_sst3", folder, here, capsys)


def _placed(value: Any, folder: Path) -> Any:
    """Puts the folder's path where a value says `{folder}`."""
    if isinstance(value, str):
        return value.replace("{folder}", str(folder))
    if isinstance(value, tuple):
        return tuple(_placed(item, folder) for item in value)
    if isinstance(value, Mapping):
        return {name: _placed(item, folder) for name, item in value.items()}
    return value


def test_a_task_that_is_only_scored_is_refused_before_anything_is_written(
    shared_data: Path, cache_dir: Path, tmp_path: Path, here: Callable[..., int], capsys
):
    names = {"MIXTURE_OR_TASK_NAME": "glue_mrpc_from_qqp", "DATA_DIR": str(shared_data)}
    settings = {"CACHE_DIR": str(cache_dir), "MODEL_DIR": str(tmp_path / "run"), **TINY, **names}
    assert here("train", "--gin_file=models/t5_mini.gin", *flags(**settings)) == 2
    message = "glue_mrpc_from_qqp cannot be trained on: it has no split 'train', only validation;"
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
