"""Reading run directories: what is merged, told apart or refused."""

from pathlib import Path

import pytest

from prompt_tuning.analysis import results
from prompt_tuning.analysis.report.result_files import read_results
from prompt_tuning.analysis.report.result_groups import by_setting, without_sweeps
from prompt_tuning.types import UserError
from tests.analysis.made_up_records import record, records


def write(folder: Path, *found: dict) -> None:
    results.write_records(folder / "results.json", found)


def test_runs_are_found_at_any_depth_and_merged(tmp_path: Path):
    write(tmp_path / "a", record("t", 80.0))
    write(tmp_path / "b" / "deep", record("t", 84.0, seed=1), record("u_unprefixed", 10.0))
    # A run's own files hold no results.
    write(tmp_path / "a" / "checkpoints" / "7", record("t", 1.0))
    found = read_results([tmp_path])
    assert [(result.task, result.seed, result.score) for result in found] == [
        ("t", 0, 80.0),
        ("t", 1, 84.0),
        ("u", 0, 10.0),
    ]
    assert [setting.prefixed for setting in by_setting(found)] == [True, False]


def test_a_row_found_twice_counts_once_and_a_conflict_is_one_line(tmp_path: Path):
    write(tmp_path / "a", record("t", 80.0, seconds=1.0))
    write(tmp_path / "b", record("t", 80.0, seconds=2.0))
    assert len(read_results([tmp_path, tmp_path / "a"])) == 1
    write(tmp_path / "b", record("t", 81.0))
    with pytest.raises(
        UserError, match=r"a/results.json has t by .* seed 0 at 80.0, .*b/"
    ) as error:
        read_results([tmp_path])
    assert "\n" not in str(error.value)


def test_two_prompts_scored_into_one_file_need_directories_of_their_own(tmp_path: Path):
    write(tmp_path, record("t", 80.0), record("t", 81.0))
    with pytest.raises(UserError, match=r"seed 0 at 80.0 and at 81.0, .*of their own, named NAME="):
        read_results([tmp_path])


def test_a_sweep_is_kept_apart_unless_its_rows_say_what_differs(tmp_path: Path):
    for length in (5, 20):
        write(tmp_path / "s" / f"length={length}", record("t", float(length)))
    for init in ("uniform", "class_labels"):
        write(tmp_path / "i" / f"start={init}", record("t", 50.0, init=init, steps=10))
    found = read_results([tmp_path])
    assert [result.setting.points for result in found] == [
        (),
        (),
        (("length", "20"),),
        (("length", "5"),),
    ]
    assert [result.points[0][0] for result in found] == ["start", "start", "length", "length"]
    assert [result.setting.init for result in without_sweeps(found)] == ["class_labels", "uniform"]
    # One point by itself says as little of its length.
    assert without_sweeps(read_results([tmp_path / "s" / "length=5"])) == []


def test_a_sweep_over_sources_is_told_by_its_rows(tmp_path: Path):
    targets = {"glue_mnli": [80.0], "glue_rte": [60.0]}
    write(tmp_path / "source=none", *records(targets))
    for source in ("glue_mnli", "squad"):
        after = records(targets, method="spot", source=source, init="file")
        # The source itself has the settings of vanilla prompt tuning, but another score.
        write(tmp_path / f"source={source}", record(source, 81.0), *after)
    # The same source, trained again for another target.
    again = record("cr", 90.0, method="spot", source="squad", init="file")
    write(tmp_path / "elsewhere", record("squad", 82.0), again)
    found = read_results([tmp_path])
    assert without_sweeps(found) == found
    lines = {
        (s.method, s.source): [result.score for result in r] for s, r in by_setting(found).items()
    }
    assert lines == {
        ("prompt_tuning (source)", None): [82.0, 81.0, 81.0],
        ("spot", "squad"): [90.0, 80.0, 60.0],
        ("spot", "glue_mnli"): [80.0, 60.0],
        ("prompt_tuning", None): [80.0, 60.0],
    }


def test_prompt_tuning_on_every_target_is_no_source(tmp_path: Path):
    pair = {"t": [80.0], "u": [60.0]}
    crossed = [record(t, 1.0, method="spot", source=s) for t in pair for s in pair if t != s]
    write(tmp_path, *records(pair), *crossed)
    assert not any(result.is_source for result in read_results([tmp_path]))


def test_a_point_that_clashes_with_another_run_stays_in_its_sweep(tmp_path: Path):
    for init in ("uniform", "class_labels"):
        write(tmp_path / f"start={init}", record("t", 50.0, init=init))
    write(tmp_path / "other", record("t", 51.0), record("u", 52.0))
    found = read_results([tmp_path])
    assert [(result.setting.init, result.score) for result in without_sweeps(found)] == [
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
        read_results([tmp_path / name])
