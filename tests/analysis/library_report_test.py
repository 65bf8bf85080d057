"""The table of transfer from a library: who wins, by how much, how fast, and what is said of it."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest

from prompt_tuning.analysis import library_report
from prompt_tuning.analysis.library_report import Comparison, Start, compare
from prompt_tuning.analysis.statistics import PairedDifference, Spread
from prompt_tuning.analysis.table import text
from tests.analysis import pictures
from tests.analysis.made_up_records import record

LABELS = [[0, 10.0], [10, 50.0], [20, 60.0]]


def start(
    name: str,
    scores: Sequence[float],
    curves: Sequence[Any],
    similarity: float | None = None,
    split: str = "test",
) -> Start:
    """Returns the records of a start; scores and curves are by seed."""
    records = [
        record("new", score, seed=seed, curve=curve, split=split)
        for seed, (score, curve) in enumerate(zip(scores, curves, strict=True))
    ]
    return Start(name, similarity, records)


def flat(*values: float) -> list[list[list[float]]]:
    """Returns a curve of one point for each value."""
    return [[[0, value]] for value in values]


FOUND = compare(
    [
        start("near", (70.0, 76.0), ([[0, 40.0], [10, 62.0], [20, 64.0]],) * 2, 0.9),
        start("far", (50.0, 51.0), ([[0, 70.0], [10, 10.0], [20, 5.0]], LABELS), 0.2),
        start("class labels", (60.0, 64.0), ([*LABELS[:2], [20, 62.0]], [*LABELS[:2], [20, 58.0]])),
        start("sampled vocab", (80.0, 80.0), flat(30.0, 31.0)),
    ]
)
NEAR, FAR, CLASS_LABELS, SAMPLED_VOCAB = FOUND.starts


def test_the_best_and_the_better_vanilla_start_are_chosen_on_validation_alone():
    assert (NEAR.validation.mean, FAR.validation.mean) == (64.0, 65.0)
    assert FOUND.best is FAR
    assert FOUND.vanilla is CLASS_LABELS
    tied = compare([start("a", (1.0,), flat(5.0), 0.1), start("b", (9.0,), flat(5.0))])
    assert tied.best.name == "a"


def test_a_gain_is_paired_by_seed():
    assert FOUND.gain(NEAR) == PairedDifference(11.0, 1.0, 2)
    one = compare([start("a", (9.0,), flat(5.0), 0.1), start("b", (1.0,), flat(4.0))])
    assert one.gain(one.best) == PairedDifference(8.0, None, 1)


def test_a_start_matches_vanilla_where_its_mean_curve_does():
    assert FOUND.vanilla_steps == 20
    assert (FOUND.steps_to_match(NEAR), FOUND.speed_up(NEAR)) == (10, 2.0)
    assert FOUND.steps_to_match(SAMPLED_VOCAB) is FOUND.speed_up(SAMPLED_VOCAB) is None
    assert (FOUND.steps_to_match(CLASS_LABELS), FOUND.speed_up(CLASS_LABELS)) == (20, 1.0)
    at_once = compare([start("a", (1.0,), flat(5.0), 0.1), start("b", (1.0,), flat(4.0))])
    assert at_once.steps_to_match(at_once.best) == 0
    assert at_once.speed_up(at_once.best) is None


def test_a_curve_is_over_the_steps_that_all_seeds_reached():
    stopped = start("a", (1.0, 1.0), ([[0, 1.0], [10, 2.0]], [[0, 3.0]]), 0.1)
    assert stopped.curve == {0: 2.0}
    assert stopped.validation == Spread(2.5, 0.5**0.5, 2)


def test_the_table_marks_what_is_kept_and_fits_a_terminal():
    lines = text(library_report.library_table(FOUND, "new"), 80).splitlines()
    cells = {line[:13].strip(): line[13:].split() for line in lines}
    assert cells["* far"][0] == "0.20"
    assert cells["near"] == "0.90 64.0 ± 0.0 73.0 ± 4.2 +11.0 ± 1.0 10 (2.0x)".split()
    assert cells["class labels"] == "- 60.0 ± 2.8 62.0 ± 2.8 - -".split()
    assert cells["sampled vocab"][-1] == "-"
    assert max(map(len, lines)) <= 80
    note = " ".join(lines[-5:])
    assert "Vanilla is class labels, the best start without transfer on validation" in note
    assert "which takes vanilla 20 steps" in note


def test_the_file_has_numbers_unrounded():
    found = list(csv.DictReader(io.StringIO(library_report.comma_separated(FOUND))))
    assert [line["start"] for line in found if line["kept"] == "True"] == ["far"]
    near = found[0]
    assert (float(near["std"]), near["n"], near["gain"]) == (pytest.approx(18**0.5), "2", "11.0")
    assert found[3]["steps_to_match"] == ""


@pytest.mark.parametrize(
    ("retrieved", "vanilla", "split", "said"),
    [
        ((80.0, 84.0), (70.0, 75.0), "test", "scores 82.0 on test, +9.5 ± 0.5 over vanilla (2 se"),
        ((80.0, 84.0), (79.0, 75.0), "test", "+5.0 ± 4.0 over vanilla (2 seeds); less than two st"),
        ((80.0, 84.0), (82.0, 84.0), "test", "-1.0 ± 1.0 over vanilla (2 seeds): no better there,"),
        ((80.0,), (70.0,), "test", "+10.0 over vanilla (1 seed); with one seed, this may be luck"),
        (
            (80.0, 84.0),
            (70.0, 75.0),
            "validation",
            "(2 seeds); it was chosen on this split, so expect",
        ),
    ],
)
def test_a_gain_is_told_with_what_speaks_against_it(retrieved, vanilla, split, said):
    starts = [
        start("near", retrieved, flat(*(9.0 for _ in retrieved)), 0.9, split),
        start("vanilla", vanilla, flat(*(8.0 for _ in vanilla)), None, split),
    ]
    sentence = library_report.verdict(compare(starts))
    assert sentence.startswith("near is best on validation, and scores ")
    assert said in sentence


def test_nothing_helped_is_told_as_such():
    starts = [
        start("far", (40.0,), flat(7.0), 0.9),
        start("near", (50.0,), flat(8.0), 0.5),
        start("vanilla", (60.0,), flat(9.0)),
    ]
    assert library_report.verdict(compare(starts)) == (
        "No retrieved prompt helped: none is better on validation than vanilla. The best of them, "
        "near, scores 50.0 on test, -10.0 over vanilla (1 seed)."
    )


def test_the_better_of_two_vanilla_starts_is_the_one_compared_with():
    starts = [start(name, (0.0,), flat(value)) for name, value in (("a", 1.0), ("b", 2.0))]
    found = compare([start("near", (50.0,), flat(8.0), 0.5), *starts])
    assert isinstance(found, Comparison) and found.vanilla is starts[1]


@pytest.mark.parametrize(("retrieved", "seeds"), [(1, 1), (15, 3)])
def test_the_picture_is_1200_pixels_wide_and_has_a_line_for_each_start(tmp_path, retrieved, seeds):
    def rising(number: int, similarity: float | None) -> Start:
        curves = [[[step, number + step / 10 + s] for step in (0, 50, 100)] for s in range(seeds)]
        records = [record("new", 50.0, seed=seed, curve=curve) for seed, curve in enumerate(curves)]
        return Start(f"mini_task_{number}", similarity, records)

    starts = [rising(number, 1 - number / 20) for number in range(retrieved)]
    path = tmp_path / "report" / "curves.png"
    library_report.draw_learning_curves(compare([*starts, rising(20, None)]), path, title="new")
    assert pictures.size(path) == (1200, 600)
    assert set(pictures.PALETTE[:2]) <= pictures.colors(path)
