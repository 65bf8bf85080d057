"""Settings and averages, against numbers worked out by hand."""

import pytest

from prompt_tuning.analysis.report.result_groups import average, by_setting, differing, task_score
from prompt_tuning.analysis.statistics import Spread
from tests.analysis.made_up_records import record, records, results_of


def test_an_average_is_over_the_seeds_that_have_every_task():
    # Means over tasks by seed: (80 + 60) / 2 = 70 and (84 + 62) / 2 = 73; seed 2 lacks a task.
    found = results_of(records({"t": [80.0, 84.0, 99.0], "u": [60.0, 62.0]}))
    assert average(found, ("t", "u")) == Spread(71.5, pytest.approx(4.5**0.5), 2)  # pyright: ignore[reportArgumentType]
    assert average(found, ("t", "u", "v")) is None
    assert task_score(found, "u") == Spread(61.0, pytest.approx(2**0.5), 2)  # pyright: ignore[reportArgumentType]


def test_headings_are_what_differs_and_the_rest_is_said_once():
    settings = list(by_setting(results_of([record("t", 1.0), record("t", 1.0, steps=9)])))
    assert differing(settings) == (
        ["method", "steps"],
        "All lines: model t5_1_1_lm100k_base, init class_labels, split validation, "
        "inputs prefixed.",
    )
