"""References: functions found again by name, and what cannot be."""

import functools
from typing import Any

import pytest

from prompt_tuning.data import metrics, postprocessors, references
from prompt_tuning.types import UserError

NOT_PLAIN: Any = object()


def test_a_partial_survives_with_its_arguments():
    reference = references.refer(functools.partial(metrics.f1, positive=0), "task t")
    assert reference == {"fn": "prompt_tuning.data.metrics:f1", "kwargs": {"positive": 0}}
    assert references.resolve(reference, "task t")([0, 0], [0, 0]) == {"f1": 100.0}


def test_tuples_are_kept_as_lists():
    function = functools.partial(postprocessors.label_index, labels=("no", "yes"))
    reference = references.refer(function, "task t")
    assert reference["kwargs"] == {"labels": ["no", "yes"]}
    assert references.resolve(reference, "task t")("yes") == 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda targets, predictions: {}, "cannot be found again by name"),
        (functools.partial(metrics.accuracy, [1]), "binds positional arguments"),
        (functools.partial(metrics.f1, positive=NOT_PLAIN), "not plain values"),
    ],
)
def test_functions_that_cannot_be_written_down(function, message):
    with pytest.raises(UserError, match=f"task t .*{message}"):
        references.refer(function, "task t")


@pytest.mark.parametrize("name", ["no_such_module:f", "prompt_tuning.data.metrics:no_such_metric"])
def test_functions_that_are_gone(name):
    with pytest.raises(UserError, match=r"task t needs .* cannot be imported"):
        references.resolve({"fn": name, "kwargs": {}}, "task t")
