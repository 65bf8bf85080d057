"""Reading run directories: what is merged, told apart or refused."""

from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.result_files import read_runs
from prompt_tuning.analysis.report.result_groups import by_setting, whole
from prompt_tuning.types import UserError
from tests.analysis.made_up_rows import row, rows


def write(folder: Path, *found: dict) -> None:
    results.write(folder / "results.json", found)


def test_runs_are_found_at_any_depth_and_merged(tmp_path: Path):
    write(tmp_path / "a", row("t", 80.0))
    write(tmp_path / "b" / "deep", row("t", 84.0, seed=1), row("u_unprefixed", 10.0))
    write(tmp_path / "a" / "checkpoints" / "7", row("t", 1.0))  # A run's own files hold no runs.
    found = read_runs([tmp_path])
    assert [(run.task, run.seed, run.score) for run in found] == [
        ("t", 0, 80.0),
        ("t", 1, 84.0),
        ("u", 0, 10.0),
    ]
    assert [setting.prefixed for setting in by_setting(found)] == [True, False]


def test_a_row_found_twice_counts_once_and_a_conflict_is_one_line(tmp_path: Path):
    write(tmp_path / "a", row("t", 80.0, seconds=1.0))
    write(tmp_path / "b", row("t", 80.0, seconds=2.0))
    assert len(read_runs([tmp_path, tmp_path / "a"])) == 1
    write(tmp_path / "b", row("t", 81.0))
    with pytest.raises(
        UserError, match=r"a/results.json has t by .* seed 0 at 80.0, .*b/"
    ) as error:
        read_runs([tmp_path])
    assert "\n" not in str(error.value)


def test_two_prompts_scored_into_one_file_need_directories_of_their_own(tmp_path: Path):
    write(tmp_path, row("t", 80.0), row("t", 81.0))
    with pytest.raises(UserError, match=r"seed 0 at 80.0 and at 81.0, .*of their own, named NAME="):
        read_runs([tmp_path])


def test_a_sweep_is_kept_apart_unless_its_rows_say_what_differs(tmp_path: Path):
    for length in (5, 20):
        write(tmp_path / "s" / f"length={length}", row("t", float(length)))
    for init in ("uniform", "class_labels"):
        write(tmp_path / "i" / f"start={init}", row("t", 50.0, init=init, steps=10))
    found = read_runs([tmp_path])
    assert [run.setting.points for run in found] == [
        (),
        (),
        (("length", "20"),),
        (("length", "5"),),
    ]
    assert [run.points[0][0] for run in found] == ["start", "start", "length", "length"]
    assert [run.setting.init for run in whole(found)] == ["class_labels", "uniform"]
    # One point by itself says as little of its length.
    assert whole(read_runs([tmp_path / "s" / "length=5"])) == []


def test_a_sweep_over_sources_is_told_by_its_rows(tmp_path: Path):
    targets = {"glue_mnli": [80.0], "glue_rte": [60.0]}
    write(tmp_path / "source=none", *rows(targets))
    for source in ("glue_mnli", "squad"):
        after = rows(targets, method="spot", source=source, init="file")
        # The source itself has the settings of vanilla prompt tuning, but another score.
        write(tmp_path / f"source={source}", row(source, 81.0), *after)
    # The same source, trained again for another target.
    again = row("cr", 90.0, method="spot", source="squad", init="file")
    write(tmp_path / "elsewhere", row("squad", 82.0), again)
    found = read_runs([tmp_path])
    assert whole(found) == found
    lines = {(s.method, s.source): [run.score for run in r] for s, r in by_setting(found).items()}
    assert lines == {
        ("prompt_tuning (source)", None): [82.0, 81.0, 81.0],
        ("spot", "squad"): [90.0, 80.0, 60.0],
        ("spot", "glue_mnli"): [80.0, 60.0],
        ("prompt_tuning", None): [80.0, 60.0],
    }


def test_prompt_tuning_on_every_target_is_no_source(tmp_path: Path):
    pair = {"t": [80.0], "u": [60.0]}
    crossed = [row(t, 1.0, method="spot", source=s) for t in pair for s in pair if t != s]
    write(tmp_path, *rows(pair), *crossed)
    assert not any(run.is_source for run in read_runs([tmp_path]))


def test_a_point_that_clashes_with_another_run_stays_in_its_sweep(tmp_path: Path):
    for init in ("uniform", "class_labels"):
        write(tmp_path / f"start={init}", row("t", 50.0, init=init))
    write(tmp_path / "other", row("t", 51.0), row("u", 52.0))
    found = read_runs([tmp_path])
    assert [(run.setting.init, run.score) for run in whole(found)] == [
        ("class_labels", 51.0),
        ("class_labels", 52.0),
        ("uniform", 50.0),
    ]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "there is no directory"), ("empty", "no results.json in or below")],
)
def test_a_directory_without_runs_is_one_line(tmp_path: Path, name: str, message: str):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        read_runs([tmp_path / name])
