"""The prefix of targets: in the tokens, in the labels to choose from, and off the answers."""

from pathlib import Path
from typing import Any

import pytest

from prompt_tuning.data.cached_task import CachedMixture, CachedTask
from prompt_tuning.data.target_prefix import with_target_prefix
from tests.training import toy

DIGITS: Any = toy.Digits()


@pytest.fixture
def prefixed(tmp_path: Path) -> CachedTask:
    changed = with_target_prefix(toy.task(tmp_path), "30 31", DIGITS)
    assert isinstance(changed, CachedTask)
    return changed


def test_every_target_begins_with_the_prefix(prefixed: CachedTask, tmp_path: Path):
    plain = toy.task(tmp_path)
    for name, split in prefixed.splits.items():
        for i in range(len(split)):
            assert split.targets[i].tolist() == [30, 31, *plain.split(name).targets[i]]
            assert split.inputs[i].tolist() == plain.split(name).inputs[i].tolist()
    assert prefixed.lengths == {"inputs": 16, "targets": 4}
    assert prefixed.digest != plain.digest


def test_answers_are_scored_without_it(prefixed: CachedTask):
    texts = prefixed.split("test").target_texts
    assert prefixed.evaluate("test", [f"30 31 {text}" for text in texts]) == {"accuracy": 100.0}
    assert prefixed.evaluate("test", texts) == {"accuracy": 100.0}
    assert prefixed.choices == ("30 31 5", "30 31 6")
    assert prefixed.labels == ("5", "6")


def test_each_task_of_a_mixture_is_prefixed(tmp_path: Path):
    mixture = CachedMixture("m", "d", ((toy.task(tmp_path), 2.0),))
    changed = with_target_prefix(mixture, "30", DIGITS)
    ((part, rate),) = changed.parts
    assert (rate, part.target_prefix) == (2.0, "30")
    assert changed.digest != "d"
