"""The curves of a study's targets: which runs count, and in which order."""

import dataclasses
import re

import numpy as np

from prompt_tuning.analysis.study import learning_curves, panels
from tests.analysis.made_up_records import record
from tests.analysis.made_up_studies import made_up_study, study_of, transfer_of

CURVE = [[0, 10.0], [50, 20.0], [100, 30.0]]


def _study(records):
    validation = np.array([[[1.0, 3.0, 2.0]] * 2])
    study = study_of(transfer_of(validation + 50, validation), np.zeros((1, 2, 3)))
    return dataclasses.replace(study, records=records)


def _record(source, score, **changes):
    curve = [[step, value + score] for step, value in CURVE]
    method = "spot" if source else "prompt_tuning"
    settings = {"method": method, "source": source, "steps": 100, "curve": curve}
    return record("t0", score, **{**settings, **changes})


def test_curves_are_means_over_seeds_and_the_best_source_comes_first():
    records = [_record(None, 0.0), _record(None, 2.0, seed=1)]
    records += [_record(source, float(n)) for n, source in enumerate(["s0", "s1", "s2"])]
    (found,) = learning_curves.target_curves(_study(records))
    assert found.vanilla == {0: 11.0, 50: 21.0, 100: 31.0}
    assert list(found.sources) == ["s1", "s2", "s0"]
    assert found.panel.summary == "from s1 31.0, without transfer 31.0"


def test_runs_of_another_length_and_steps_that_not_all_have_are_left_out():
    records = [_record(None, 0.0), _record(None, 9.0, steps=900), _record("s0", 1.0)]
    records += [_record("s0", 3.0, seed=1, curve=CURVE[:2])]
    (found,) = learning_curves.target_curves(_study(records))
    assert found.vanilla[0] == 10.0
    assert found.sources == {"s0": {0: 10.5, 50: 20.5}}


def test_a_target_without_both_kinds_of_curves_is_left_out():
    assert learning_curves.target_curves(_study([_record("s0", 1.0)])) == []
    assert (
        learning_curves.target_curves(_study([_record(None, 1.0), _record("s0", 1.0, curve=None)]))
        == []
    )


def test_the_table_has_every_point_and_a_line_few_of_many():
    study = made_up_study(2, 2, 1, points=500)
    curves = learning_curves.target_curves(study)
    assert len(learning_curves.as_table(curves).lines) == 2 * 3 * 500
    drawn = panels.html([curves[0].panel], "curves")
    assert max(path.count("L") for path in drawn.split("<path")) < 70


def test_the_axis_spans_the_scores_after_step_0():
    low = [[0, 0.0], [50, 80.0], [100, 90.0]]
    records = [_record(None, 0, curve=low), _record("s0", 0, curve=low)]
    (curves,) = learning_curves.target_curves(_study(records))
    drawn = panels.html([curves.panel], "it")
    ticks = [float(tick) for tick in re.findall(r"text-anchor: end[^>]*>(\d+)</text>", drawn)]
    assert len(ticks) > 2
    assert 79 <= min(ticks) < max(ticks) <= 91
