"""What may be said of a file that a task is made from."""

import pytest

from prompt_tuning.data.task_file import TaskFile
from prompt_tuning.types import UserError
from tests.data.user_task.conftest import FREE


def test_a_task_is_named_after_its_file_or_as_told():
    assert TaskFile(**FREE).task_name is None
    assert TaskFile(**{**FREE, "path": "a/b.c/My data (2).csv"}).task_name == "My_data_2"
    assert TaskFile(**{**FREE, "path": "a.csv", "name": "mine"}).task_name == "mine"
    with pytest.raises(UserError, match="cannot name a task after it; set"):
        _ = TaskFile(**{**FREE, "path": "日本.csv"}).task_name


def test_a_kind_that_cannot_be():
    with pytest.raises(UserError, match=r"'label' \(did you mean labels\?\); use one of labels"):
        TaskFile(**{**FREE, "answers": "label"})
