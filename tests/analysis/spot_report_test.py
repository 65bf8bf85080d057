"""The transfer table on the terminal, in Markdown and as CSV."""

import csv
import io

import pytest
from rich.console import Console

from prompt_tuning.analysis import spot_report
from prompt_tuning.analysis.statistics import CLASS_LABELS, SAMPLED_VOCABULARY, SPOT
from tests.analysis import pictures


def record(start, target, seed, score, source=None, steps=100, early=50.0):
    return {
        "method": start.method,
        "init": start.init,
        "source": source,
        "target": target,
        "seed": seed,
        "metric": "accuracy",
        "split": "test",
        "score": score,
        "step": steps,
        "steps": steps,
        "curve": [[0, 0.0], [25, early], [100, score]],
        "seconds": 1.0,
    }


@pytest.fixture
def records():
    found = [record(SAMPLED_VOCABULARY, "a_source_task", seed, 95.0, steps=500) for seed in (0, 1)]
    for target, lift in (("first_target", 10.0), ("second_target", -2.0)):
        for seed in (0, 1):
            found.append(record(CLASS_LABELS, target, seed, 70.0 + seed))
            found.append(record(SAMPLED_VOCABULARY, target, seed, 60.0 + seed))
            spot = record(
                SPOT, target, seed, 70.0 + seed + lift, "a_source_task", early=57.0 + seed
            )
            found.append(spot)
    return found


def test_markdown_has_every_target_the_mean_and_the_comparisons(records):
    words = {"first_target": True, "second_target": False}
    lines = spot_report.spot_tables(records, words).markdown().splitlines()
    assert lines[2] == (
        "| target | source | class labels | sampled vocab | SPoT | SPoT - labels | words |"
    )
    assert lines[4:7] == [
        "| first_target | a_source_task | 70.5 ± 0.7 | 60.5 ± 0.7 | 80.5 ± 0.7 | +10.0 | shared |",
        "| second_target | a_source_task | 70.5 ± 0.7 | 60.5 ± 0.7 | 68.5 ± 0.7 | -2.0 | other |",
        "| **mean** |  | **70.5 ± 0.7** | **60.5 ± 0.7** | **74.5 ± 0.7** | **+4.0** |  |",
    ]
    # Four pairs; on test 10, 10, -2, -2; after a quarter of the steps 7, 8, 7, 8.
    assert lines[-2] == "| class labels | +4.00 ± 3.46 | +7.50 ± 0.29 | 4 |"


def test_the_terminal_table_fits_and_loses_no_name(records):
    screen = io.StringIO()
    console = Console(width=100, file=screen, force_terminal=False)
    long_name = "a_target_with_a_rather_long_name_indeed"
    renamed = [{**r, "target": r["target"].replace("first_target", long_name)} for r in records]
    console.print(spot_report.spot_tables(renamed, {long_name: True}).rendered())
    shown = screen.getvalue()
    assert max(map(len, shown.splitlines())) <= 100
    first_column = "".join(line.split(" ")[0] for line in shown.splitlines())
    assert long_name in first_column


def test_the_column_of_words_is_explained_where_there_is_one(records):
    for words, explained in (({"first_target": True}, True), (None, False)):
        screen = io.StringIO()
        tables = spot_report.spot_tables(records, words)
        Console(width=100, file=screen).print(tables.rendered())
        assert ('words: "shared" if target and source' in screen.getvalue()) == explained


def test_csv_keeps_numbers_whole(records):
    lines = list(csv.DictReader(io.StringIO(spot_report.spot_tables(records).comma_separated())))
    spot = next(x for x in lines if (x["target"], x["start"]) == ("second_target", "SPoT"))
    assert (spot["mean"], spot["n"], spot["source"]) == ("68.5", "2", "a_source_task")
    assert float(spot["std"]) == pytest.approx(0.5**0.5)


def test_a_missing_start_and_a_single_seed_are_shown_as_such(records):
    some = [r for r in records if r["seed"] == 0 and r["init"] != "class_labels"]
    text = spot_report.spot_tables(some).markdown()
    assert "| first_target | a_source_task | - | 60.0 | 80.0 | - |" in text


def test_the_split_that_is_scored_is_named(records):
    assert spot_report.spot_tables(records).markdown().startswith("Test score (0-100)")
    records = [{**each, "split": "validation"} for each in records]
    text = spot_report.spot_tables(records).markdown()
    assert text.startswith("Validation score (0-100)")
    assert "| SPoT - | validation | validation, 1/4 of the steps | pairs |" in text


def curve_row(start, target, seed, steps=100):
    curve = [[step, 50.0 + step / 10 + seed] for step in range(0, 101, 25)]
    start_columns = {"method": start.method, "init": start.init}
    return {**start_columns, "target": target, "seed": seed, "curve": curve, "steps": steps}


@pytest.mark.parametrize(("targets", "seeds"), [(1, 1), (10, 3)])
def test_the_picture_is_1200_pixels_wide_and_has_every_color(tmp_path, targets, seeds):
    records = [
        curve_row(start, f"target_{number}", seed)
        for number in range(targets)
        for start in (CLASS_LABELS, SAMPLED_VOCABULARY, SPOT)
        for seed in range(seeds)
    ]
    for shift, of_run in enumerate(records):
        of_run["curve"] = [[step, score + shift] for step, score in of_run["curve"]]
    spot_report.draw_learning_curves(records, tmp_path / "report" / "curves.png")
    picture = tmp_path / "report" / "curves.png"
    assert pictures.size(picture)[0] == 1200
    assert set(pictures.PALETTE[:3]) <= pictures.colors(picture)
