"""Prompts are used as they were tuned: commands take what files record, and refuse what clashes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.prompts import files
from tests.cli.conftest import flags, launch, tiny
from tests.data.user_task.conftest import REVIEWS, comma_separated

MINI = "--gin_file=runs/train_mini.gin"
SENTINEL = "<extra_id_0>"
TEMPLATE = "say: {text} it is"


def _train(*words: str) -> None:
    process = launch("train", *words)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")


@pytest.fixture(scope="module")
def odd(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a prompt that stands behind the input, with answers that begin with a sentinel."""
    folder = tmp_path_factory.mktemp("odd") / "run"
    words = tiny(
        cache_dir,
        folder,
        TuneConfig__placement="suffix_before_eos",
        TARGET_PREFIX=SENTINEL,
        TRAIN_STEPS=160,
        EVAL_PERIOD=40,
        LEARNING_RATE=0.1,
    )
    _train(MINI, *words)
    return folder


@pytest.fixture(scope="module")
def own(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains on a file by a template and words of the user's; `reviews.csv` lies beside the run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "reviews.csv").write_text(comma_separated("text,label", REVIEWS))
    words = tiny(
        cache_dir,
        folder / "run",
        TASK_FILE=str(folder / "reviews.csv"),
        TRAIN_STEPS=40,
        EVAL_PERIOD=20,
        TaskFile__template=TEMPLATE,
        TaskFile__label_words={"good": "warm", "bad": "cold"},
        TaskFile__test_share=0.4,
    )
    _train("--gin_file=runs/task_file.gin", *words)
    return folder / "run"


def prompt_of(run: Path) -> Path:
    (path,) = run.glob("prompts/*/best.safetensors")
    return path


def words_for(cache_dir: Path, output: Path, *prompts: Path, **bindings) -> list[str]:
    settings = {
        "CACHE_DIR": str(cache_dir),
        "MODEL_DIR": str(output),
        "PROMPT_FILES": tuple(map(str, prompts)),
        "TASK_FEATURE_LENGTHS": {"inputs": 64, "targets": 16},
        "Setup__shape_count": 1,
    }
    return flags(**{**settings, **bindings})


def changed(prompt: Path, to: Path, **metadata: str | None) -> Path:
    """Writes a prompt with other metadata; None leaves it out."""
    loaded = files.load(prompt)
    merged = {**loaded.metadata, **metadata}
    known = {key: value for key, value in merged.items() if value is not None}
    files.save(to, files.Prompt(loaded.array, known))
    return to


def score(run: Path) -> float:
    (row,) = results.read_records(run / "results.json")
    return row["score"]


def test_a_prompt_scores_as_in_its_run_with_no_setting_repeated(
    odd: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    assert here("eval", MINI, *words_for(cache_dir, tmp_path / "eval", prompt_of(odd))) == 0
    assert score(tmp_path / "eval") == score(odd) > 60
    assert "scores may differ" not in capsys.readouterr().out
    unknown = changed(prompt_of(odd), tmp_path / "unknown.safetensors", placement=None)
    assert here("eval", MINI, *words_for(cache_dir, tmp_path / "front", unknown)) == 0
    assert score(tmp_path / "front") != score(odd)
    changed(unknown, unknown, target_prefix=None)
    set_again = {"Prompts__placement": "suffix_before_eos", "TARGET_PREFIX": SENTINEL}
    assert here("eval", MINI, *words_for(cache_dir, tmp_path / "set", unknown, **set_again)) == 0
    assert score(tmp_path / "set") == score(odd)


def refused(capsys: pytest.CaptureFixture[str], *parts: str) -> None:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for part in parts:
        assert part in error


@pytest.mark.parametrize("command", ["eval", "infer"])
def test_what_is_set_otherwise_than_in_the_file_is_refused(
    odd: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    command: str,
):
    place = {"eval": "Prompts__placement", "infer": "Prompts__placement"}[command]
    output = tmp_path / "out"
    lines = {"INPUT_FILE": str(tmp_path / "lines"), "OUTPUT_FILE": str(output)}
    for setting, value, recorded in (
        (place, "prefix", "suffix_before_eos"),
        ("TARGET_PREFIX", "", SENTINEL),
        ("TARGET_PREFIX", "good", SENTINEL),
    ):
        words = words_for(cache_dir, output, prompt_of(odd), **{setting: value})
        if command == "infer":
            words = [word for word in words if "MODEL_DIR" not in word] + flags(**lines)
        assert here(command, MINI, *words) == 2
        refused(capsys, str(prompt_of(odd)), repr(value), repr(recorded))
    assert not list(tmp_path.iterdir())


def test_prompts_that_differ_are_not_used_together(
    odd: Path,
    trained: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    front = trained / "prompts" / "mini_cr.class_labels.seed0" / "best.safetensors"
    assert here("eval", MINI, *words_for(cache_dir, tmp_path / "out", prompt_of(odd), front)) == 2
    refused(capsys, str(prompt_of(odd)), str(front), "'suffix_before_eos'", "'prefix'")
    unknown = changed(prompt_of(odd), tmp_path / "a.safetensors", placement="behind")
    assert here("eval", MINI, *words_for(cache_dir, tmp_path / "out", unknown)) == 2
    refused(capsys, str(unknown), "no placement is called 'behind'")


def test_a_row_does_not_start_from_a_prompt_of_another_placement(
    odd: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    words = tiny(cache_dir, tmp_path / "run", PROMPT_FILE=str(prompt_of(odd)), TRAIN_STEPS=2)
    assert here("train", MINI, "--gin_file=prompts/file.gin", *words) == 2
    refused(capsys, str(prompt_of(odd)), "placement suffix_before_eos (need prefix)", SENTINEL)
    library = str(tmp_path / "library")
    assert here("library", "add", library, str(prompt_of(odd))) == 0
    capsys.readouterr()
    assert here("spot", f"--library={library}", MINI, *tiny(cache_dir, tmp_path / "run")) == 2
    refused(capsys, "1 of another placement (suffix_before_eos, not prefix)")
    assert not (tmp_path / "run").exists()


def test_a_prompt_of_ones_own_file_scores_as_in_its_run(
    own: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    label_words = {"good": "warm", "bad": "cold"}
    settings = {
        "TASK_FILE": str(own.parent / "reviews.csv"),
        "TaskFile__test_share": 0.4,
        "TaskFile__label_words": label_words,
    }
    words = words_for(cache_dir, tmp_path / "eval", prompt_of(own), **settings)
    assert here("eval", "--gin_file=runs/task_file.gin", *words) == 0
    assert score(tmp_path / "eval") == score(own)
    told = capsys.readouterr().out
    assert "say: the film annoys in every way it is" in told
    assert "other examples" not in told
    divided = {**settings, "TaskFile__test_share": 0.5}
    words = words_for(cache_dir, tmp_path / "divided", prompt_of(own), **divided)
    assert here("eval", "--gin_file=runs/task_file.gin", *words) == 0
    assert "reviews differs from when" in capsys.readouterr().out
    for changes, parts in (
        ({"TaskFile__template": "{text}"}, ("'{text}'", repr(TEMPLATE))),
        ({"TaskFile__inputs": "text"}, ("'{text}'", repr(TEMPLATE))),
        ({"TaskFile__label_words": None}, ("warm", "bad, good", "TaskFile.label_words")),
    ):
        clash = words_for(cache_dir, tmp_path / "out", prompt_of(own), **{**settings, **changes})
        assert here("eval", "--gin_file=runs/task_file.gin", *clash) == 2
        refused(capsys, *parts)
    assert not (tmp_path / "out").exists()


def test_lines_with_the_columns_of_the_training_file_are_answered_by_its_labels(
    own: Path,
    cache_dir: Path,
    tmp_path: Path,
    here: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
):
    lines, output = tmp_path / "lines.jsonl", tmp_path / "out.jsonl"

    def answer(prompt: Path, *entries: dict, status: int = 0) -> list[dict]:
        lines.write_text("\n".join(map(json.dumps, entries)))
        words = words_for(cache_dir, tmp_path, prompt, infer__max_target_tokens=4)
        words = [word for word in words if "MODEL_DIR" not in word]
        words += flags(INPUT_FILE=str(lines), OUTPUT_FILE=str(output))
        assert here("infer", MINI, "--gin.DECODER=@Rank()", *words) == status
        return [] if status else [json.loads(line) for line in output.read_text().splitlines()]

    row = {"text": "the film was warm", "label": "ignored"}
    whole = {"inputs": "say: the film was warm it is"}
    of_columns, of_inputs = answer(prompt_of(own), row, whole)
    assert of_columns == of_inputs
    assert of_columns["inputs"] == whole["inputs"]
    assert of_columns["prediction"] in ("warm", "cold")
    answer(prompt_of(own), {"txt": "the film"}, status=2)
    refused(capsys, f"{lines}:1", "no field 'text'", TEMPLATE)
    asking = changed(prompt_of(own), tmp_path / "a.safetensors", input_template="{prompt}")
    (answered,) = answer(asking, {"prompt": "a film"})
    assert answered["inputs"] == "a film"
    unlabelled = changed(prompt_of(own), tmp_path / "b.safetensors", label_words=None)
    answer(unlabelled, whole, status=2)
    refused(capsys, "@Rank()", "CLASS_LABELS", "reviews.class_labels.seed0")
