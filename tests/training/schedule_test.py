"""Schedules refuse settings that cannot be trained."""

from typing import Any

import pytest

from prompt_tuning.training.schedule import Schedule
from prompt_tuning.types import UserError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": -3}, "steps must be a positive whole number, not -3"),
        ({"batch_size": 0}, "batch_size must be a positive whole number, not 0"),
        ({"eval_period": 2.5}, "eval_period must be a positive whole number, not 2.5"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, not 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0 and finite, not nan"),
    ],
)
def test_a_setting_out_of_range_is_refused(changes: dict[str, Any], message: str):
    settings = {"steps": 1, "batch_size": 1, "eval_period": 1, "learning_rate": 0.3}
    with pytest.raises(UserError, match=message):
        Schedule(**{**settings, **changes})
