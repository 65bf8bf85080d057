"""Random divisions: exact shares by class, repeatable, stable, and no input in two splits."""

from collections import Counter

import pytest

from prompt_tuning.data.own.division import divide

INPUTS = [f"text {i}" for i in range(200)]
CLASSES = ["rare" if i % 10 == 0 else "often" for i in range(200)]
SHARES = {"test": 0.1, "validation": 0.2}


def test_every_class_has_its_share_of_every_split():
    splits = divide(INPUTS, CLASSES, SHARES, 0)
    assert Counter(zip(CLASSES, splits, strict=True)) == {
        ("rare", "train"): 14,
        ("rare", "validation"): 4,
        ("rare", "test"): 2,
        ("often", "train"): 126,
        ("often", "validation"): 36,
        ("often", "test"): 18,
    }


def test_a_division_repeats_and_its_seed_names_it():
    assert divide(INPUTS, CLASSES, SHARES, 0) == divide(INPUTS, CLASSES, SHARES, 0)
    assert divide(INPUTS, CLASSES, SHARES, 0) != divide(INPUTS, CLASSES, SHARES, 1)


def test_the_order_of_a_file_does_not_matter_and_a_new_row_moves_few():
    splits = dict(zip(INPUTS, divide(INPUTS, CLASSES, SHARES, 0), strict=True))
    turned = divide(INPUTS[::-1], CLASSES[::-1], SHARES, 0)
    assert dict(zip(INPUTS[::-1], turned, strict=True)) == splits
    longer = divide([*INPUTS, "one more"], [*CLASSES, "rare"], SHARES, 0)
    assert sum(a != b for a, b in zip(splits.values(), longer, strict=False)) <= 4


def test_the_same_input_is_never_in_two_splits():
    inputs = [f"text {i % 40}" for i in range(200)]
    splits = divide(inputs, ["a", "b"] * 100, SHARES, 0)
    assert set(splits) == {"train", "validation", "test"}
    assert len(set(zip(inputs, splits, strict=True))) == 40


@pytest.mark.parametrize(("rows", "validation"), [(1, 0), (2, 1), (3, 1), (24, 2), (26, 3)])
def test_a_class_keeps_an_example_to_train_on_and_a_share_gives_one(rows, validation):
    splits = divide(INPUTS[:rows], ["one"] * rows, {"validation": 0.1}, 0)
    assert splits.count("validation") == validation


def test_many_rare_classes_still_give_their_sum():
    classes = [str(i // 3) for i in range(150)]
    splits = divide(INPUTS[:150], classes, {"test": 0.1, "validation": 0.1}, 0)
    assert Counter(splits) == {"train": 120, "validation": 15, "test": 15}
    in_train = {c for c, split in zip(classes, splits, strict=True) if split == "train"}
    assert len(in_train) == 50


def test_labels_that_occur_once_are_trained_on():
    splits = divide(INPUTS[:12], ["once", "alone", *["often"] * 10], {"validation": 0.2}, 0)
    assert splits[:2] == ["train", "train"]
    assert splits.count("validation") == 2


def test_a_share_of_nothing_gives_nothing():
    assert set(divide(INPUTS, CLASSES, {"test": 0.0}, 0)) == {"train"}
