"""Examples-proportional mixtures of tokenized tasks."""

from pathlib import Path

from prompt_tuning.data import proportional
from prompt_tuning.data.proportional import proportional_mixture
from tests.training import toy


def test_rates_are_numbers_of_training_examples_up_to_the_cap(tmp_path: Path, monkeypatch):
    first, second = toy.task(tmp_path, "first"), toy.task(tmp_path, "second")
    examples = float(len(first.split("train")))
    mixture = proportional_mixture("both", [first, second])
    assert [(part.name, rate) for part, rate in mixture.parts] == [
        ("first", examples),
        ("second", examples),
    ]
    monkeypatch.setattr(proportional, "CAP", 3)
    capped = proportional_mixture("both", [first, second])
    assert [rate for _, rate in capped.parts] == [3.0, 3.0]
    assert capped.digest != mixture.digest


def test_a_task_counts_once_whatever_it_comes_in(tmp_path: Path):
    first, second = toy.task(tmp_path, "first"), toy.task(tmp_path, "second")
    both = proportional_mixture("both", [first, second])
    again = proportional_mixture("again", [first, both, second])
    assert again.parts == both.parts and again.digest == both.digest
