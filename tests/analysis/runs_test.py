"""Reading run directories, and averages, against numbers worked out by hand."""

from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.analysis.runs import average, by_setting, differing, read, task_score, whole
from prompt_tuning.analysis.statistics import Spread
from prompt_tuning.types import UserError
from tests.analysis.rows import row, rows, runs


def write(folder: Path, *found: dict) -> None:
    results.write(folder / "results.json", found)


def test_runs_are_found_at_any_depth_and_merged(tmp_path: Path):
    write(tmp_path / "a", row("t", 80.0))
    write(tmp_path / "b" / "deep", row("t", 84.0, seed=1), row("u_unprefixed", 10.0))
    write(tmp_path / "a" / "checkpoints" / "7", row("t", 1.0))  # A run's own files hold no runs.
    found = read([tmp_path])
    assert [(run.task, run.seed, run.score) for run in found] == [
        ("t", 0, 80.0),
        ("t", 1, 84.0),
        ("u", 0, 10.0),
    ]
    assert [setting.prefixed for setting in by_setting(found)] == [True, False]


def test_a_row_found_twice_counts_once_and_a_conflict_is_one_line(tmp_path: Path):
    write(tmp_path / "a", row("t", 80.0, seconds=1.0))
    write(tmp_path / "b", row("t", 80.0, seconds=2.0))
    assert len(read([tmp_path, tmp_path / "a"])) == 1
    write(tmp_path / "b", row("t", 81.0))
    with pytest.raises(
        UserError, match=r"a/results.json has t by .* seed 0 at 80.0, .*b/"
    ) as error:
        read([tmp_path])
    assert "\n" not in str(error.value)


def test_a_sweep_is_kept_apart_unless_its_rows_say_what_differs(tmp_path: Path):
    for length in (5, 20):
        write(tmp_path / "s" / f"length={length}", row("t", float(length)))
    for init in ("uniform", "class_labels"):
        write(tmp_path / "i" / f"start={init}", row("t", 50.0, init=init, steps=10))
    found = read([tmp_path])
    assert [run.setting.points for run in found] == [
        (),
        (),
        (("length", "20"),),
        (("length", "5"),),
    ]
    assert [run.points[0][0] for run in found] == ["start", "start", "length", "length"]
    assert [run.setting.init for run in whole(found)] == ["class_labels", "uniform"]
    # One point by itself says as little of its length.
    assert whole(read([tmp_path / "s" / "length=5"])) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "there is no directory"), ("empty", "no results.json in or below")],
)
def test_a_directory_without_runs_is_one_line(tmp_path: Path, name: str, message: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        read([tmp_path / name])


def test_an_average_is_over_the_seeds_that_have_every_task():
    # Means over tasks by seed: (80 + 60) / 2 = 70 and (84 + 62) / 2 = 73; seed 2 lacks a task.
    found = runs(rows({"t": [80.0, 84.0, 99.0], "u": [60.0, 62.0]}))
    assert average(found, ("t", "u")) == Spread(71.5, pytest.approx(4.5**0.5), 2)  # pyright: ignore[reportArgumentType]
    assert average(found, ("t", "u", "v")) is None
    assert task_score(found, "u") == Spread(61.0, pytest.approx(2**0.5), 2)  # pyright: ignore[reportArgumentType]


def test_headings_are_what_differs_and_the_rest_is_said_once():
    settings = list(by_setting(runs([row("t", 1.0), row("t", 1.0, steps=9)])))
    assert differing(settings) == (
        ["method", "steps"],
        "All lines: model t5_1_1_lm100k_base, init class_labels, split validation, "
        "inputs prefixed.",
    )
