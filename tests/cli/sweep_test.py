"""Sweeps: every point in its own directory, mistakes found before anything runs, and resume."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import prompt_tuning.configurables  # noqa: F401
from prompt_tuning.analysis import results
from prompt_tuning.cli import command_config, sweep
from prompt_tuning.cli.commands import COMMANDS
from prompt_tuning.cli.configuration import Config
from prompt_tuning.prompts import files
from prompt_tuning.types import UserError
from tests.cli.conftest import flags, launch, tiny, tree

SWEEP = {"length=2": {"PROMPT_LENGTH": 2}, "length=3": {"PROMPT_LENGTH": 3, "LEARNING_RATE": 0.1}}


def _points(*bindings: str, command: str = "train") -> list[sweep.Point]:
    words = ["MODEL_DIR='runs/x'", *bindings]
    config = command_config.read_command_config(
        command, COMMANDS[command], ["runs/train_mini.gin"], words, []
    )
    return sweep.sweep_points(config, COMMANDS[command].function)


def test_each_point_has_its_settings_and_its_directory():
    first, second = _points(f"SWEEP={SWEEP!r}")
    assert (first.name, second.settings) == ("length=2", "PROMPT_LENGTH = 3, LEARNING_RATE = 0.1")
    assert "MODEL_DIR = 'runs/x/length=3'" in second.text
    assert "PROMPT_LENGTH = 3" in second.text and "LEARNING_RATE = 0.1" in second.text
    assert "PROMPT_LENGTH = 2" in first.text and "LEARNING_RATE = 0.3" in first.text


def test_a_point_may_choose_by_reference_and_set_a_parameter():
    (point,) = _points("SWEEP={'random': {'PROMPT_INIT': @Uniform(), 'Uniform.bounds': 'paper'}}")
    assert "PROMPT_INIT = @Uniform()" in point.text
    assert "Uniform.bounds = 'paper'" in point.text


def test_a_point_with_lists_is_several():
    value = {
        "length={}": {"PROMPT_LENGTH": [1, 5]},
        "rate={}": {"{}": [1, 2], "LEARNING_RATE": [0.1, 0.2], "CACHE_DIR": "cache/{}/x"},
        "seeds": {"RANDOM_SEED": [3, 4]},
    }
    points = _points(f"SWEEP={value!r}")
    assert [(point.name, point.settings) for point in points] == [
        ("length=1", "PROMPT_LENGTH = 1"),
        ("length=5", "PROMPT_LENGTH = 5"),
        ("rate=1", "LEARNING_RATE = 0.1, CACHE_DIR = 'cache/1/x'"),
        ("rate=2", "LEARNING_RATE = 0.2, CACHE_DIR = 'cache/2/x'"),
        ("seeds", "RANDOM_SEED = [3, 4]"),
    ]


def test_no_sweep_is_no_points():
    assert _points() == []
    assert _points("CACHE_TASKS='mini_sst2'", command="cache") == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "{'a': {'PROMPT_LENGHT': 1}}",
            "point 'a' (--gin.SWEEP): nothing uses the macro PROMPT_LENGHT (did you",
        ),
        (
            "{'a': {'Schedule.step': 1}}",
            "point 'a' (--gin.SWEEP): Schedule has no parameter 'step' (did you",
        ),
        (
            "{'a': {'TRAIN_STEPS': 'x'}}",
            "point 'a' (--gin.SWEEP): TRAIN_STEPS (Schedule.steps uses it) must be",
        ),
        (
            "{'a': {'TRAIN_STEPS': 0}}",
            "point 'a' (--gin.SWEEP): Schedule.steps must be a positive whole number, not 0",
        ),
        (
            "{'a': {'SOURCE_STEPS': 1}}",
            "point 'a' (--gin.SWEEP): SOURCE_STEPS has no effect on 'train'",
        ),
        ("{'a': {'MODEL_DIR': 'x'}}", "point 'a' (--gin.SWEEP): a point cannot set MODEL_DIR"),
        ("{'a': {'BATCH_SIZE': 1}}", "--gin.BATCH_SIZE: the sweep sets BATCH_SIZE at each point"),
        ("{'a': {'': 1}}", "point 'a' (--gin.SWEEP): '' is not the name of a macro or a parameter"),
        ("{'../a': {}}", "point '../a' (--gin.SWEEP): a point's name may have letters"),
        ("{'a={}': {'PROMPT_LENGTH': 1}}", "--gin.SWEEP: point 'a={}' needs a list of values"),
        (
            "{'{}': {'PROMPT_LENGTH': [1], 'LEARNING_RATE': [1, 2]}}",
            "or several lists of the same length",
        ),
        ("{'a={}': {'PROMPT_LENGTH': []}}", "--gin.SWEEP: point 'a={}' needs a list of values"),
        ("{'1': {}, '{}': {'PROMPT_LENGTH': [1]}}", "--gin.SWEEP: two points are called '1'"),
        ("{'a': 1}", "SWEEP must be a dictionary of points"),
        ("3", "SWEEP must be a dictionary of points"),
    ],
)
def test_a_mistake_in_a_point_is_found_before_any_runs(value: str, message: str):
    with pytest.raises(UserError) as error:
        _points(f"SWEEP={value}", "BATCH_SIZE=2")
    assert message in str(error.value)


def test_a_sweep_that_has_no_effect_is_an_error():
    words = ["CACHE_TASKS='mini_sst2'", f"SWEEP={SWEEP!r}"]
    with pytest.raises(UserError, match="SWEEP: it has no effect on 'cache'"):
        _points(*words, command="cache")


@pytest.fixture(scope="module")
def swept(cache_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "run"
    words = tiny(cache_dir, folder, TRAIN_STEPS=4, EVAL_PERIOD=4, SWEEP=SWEEP)
    words = [word for word in words if "PROMPT_LENGTH=10" not in word]
    process = launch("train", "--gin_file=runs/train_mini.gin", *words)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    (folder.parent / "output").write_text(out)
    return folder


def test_every_point_leaves_a_run_and_the_summary_names_it(swept: Path):
    output = (swept.parent / "output").read_text()
    assert "[1/2] length=2: PROMPT_LENGTH = 2" in output
    summary = output[output.rindex("Sweep") :]
    for point, length in (("length=2", 2), ("length=3", 3)):
        prompt = swept / point / "prompts" / "mini_sst2.class_labels.seed0" / "best.safetensors"
        assert files.load(prompt).array.shape == (length, 64)
        (row,) = results.read_records(swept / point / "results.json")
        assert point in summary and f"{row['score']:.1f}" in summary


def test_finished_points_are_passed_over_and_the_rest_runs(
    swept: Path, cache_dir: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    before = tree(swept)
    more = {**SWEEP, "length=4": {"PROMPT_LENGTH": 4}}
    words = tiny(cache_dir, swept, TRAIN_STEPS=4, EVAL_PERIOD=4, SWEEP=more)
    words = [word for word in words if "PROMPT_LENGTH=10" not in word]
    assert here("train", "--gin_file=runs/train_mini.gin", *words) == 0
    assert capsys.readouterr().out.count("finished before") == 2
    assert (swept / "length=4" / "results.json").is_file()
    after = tree(swept)
    assert all(after[name] == content for name, content in before.items() if name != "sweep.json")


def test_a_point_whose_settings_changed_is_run_again(tmp_path: Path):
    def run(lengths: list[int]) -> list[str]:
        """Runs a sweep in which a run is nothing but its results; returns the points that ran."""
        value = {f"point{i}": {"PROMPT_LENGTH": length} for i, length in enumerate(lengths)}
        swept, ran = _points(f"SWEEP={value!r}"), []

        def call(config: Config) -> None:
            (point,) = (point for point in swept if point.config is config)
            (tmp_path / point.name).mkdir(exist_ok=True)
            results.write_records(tmp_path / point.name / "results.json", [])
            ran.append(point.name)

        sweep.run_points(swept, lambda config: lambda: call(config), tmp_path, Console(quiet=True))
        return ran

    assert run([1, 2]) == ["point0", "point1"]
    assert run([1, 2]) == []
    assert run([1, 3, 4]) == ["point1", "point2"]
    assert run([1, 2, 4]) == ["point1"]


def test_a_dry_run_prints_what_each_point_needs_and_leaves_nothing(
    tmp_path: Path, here: Callable[..., int], capsys: pytest.CaptureFixture[str]
):
    words = flags(MODEL_DIR=str(tmp_path / "run"), CACHE_DIR=str(tmp_path / "cache"), SWEEP=SWEEP)
    assert here("train", "--gin_file=runs/train_mini.gin", "--dry_run", *words) == 0
    output = capsys.readouterr().out
    assert "[2/2] length=3" in output
    trainable = [line.split()[-1] for line in output.splitlines() if "trainable" in line]
    assert trainable == ["128", "192"]
    assert not list(tmp_path.iterdir())
