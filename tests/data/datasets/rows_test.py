"""Rows of published datasets from JSON lines, and what is said of rows that are wrong."""

import dataclasses
import json

import pytest

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.dataset import Dataset, label_word
from prompt_tuning.data.datasets.rows import Reader, plain
from prompt_tuning.types import UserError

LABELS = ("bad", "good")


def ask(row):
    if row["label"] != 7:
        yield {"inputs": f"review: {row['text']}", "targets": label_word(row, LABELS)}


REVIEWS = Dataset(
    name="reviews",
    family="Sentiment",
    papers=("SPoT",),
    tfds="shop/reviews:1.0.0",
    splits={"train": ("train",), "validation": ("matched", "mismatched")},
    leaderboard=("test",),
    sizes={"train": 1000},
    fields=("text", "label"),
    format=ask,
    prefix="shop",
    labels=LABELS,
    metrics=(metrics.accuracy,),
)


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a split; three splits are there."""

    def write_split(split, *rows):
        folder = tmp_path / "shop_reviews"
        folder.mkdir(exist_ok=True)
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")

    write_split("train", {"text": "a", "label": 1}, {"text": "b", "label": 7})
    write_split("matched", {"text": "c", "label": 0})
    write_split("mismatched", {"text": "d", "label": 1}, "", {"text": "e", "label": 1})
    return write_split


def reader(tmp_path):
    return Reader(REVIEWS, str(tmp_path), None)


def test_splits_are_joined_and_rows_left_out(tmp_path, write):
    read = reader(tmp_path)
    assert read.splits == REVIEWS.splits
    assert list(read.examples("train")) == [{"inputs": "review: a", "targets": "good"}]
    assert [e["inputs"][-1] for e in read.examples("validation")] == ["c", "d", "e"]
    assert (read.count("train"), read.count("validation")) == (1, 3)
    assert [path.name for path in read.files(read.splits)] == [
        "train.jsonl",
        "matched.jsonl",
        "mismatched.jsonl",
    ]


def test_a_test_split_counts_where_it_has_labels(tmp_path, write):
    write("test", {"text": "f", "label": -1})
    assert "test" not in reader(tmp_path).splits
    assert list(reader(tmp_path).examples("leaderboard")) == [
        {"inputs": "review: f", "targets": ""}
    ]
    write("test", {"text": "f", "label": 0})
    assert reader(tmp_path).splits["test"] == ("test",)


def test_rows_without_a_label_are_left_out(tmp_path, write):
    write("train", {"text": "a", "label": -1}, {"text": "b", "label": 1})
    assert list(reader(tmp_path).examples("train")) == [{"inputs": "review: b", "targets": "good"}]


def test_training_rows_stand_in_for_a_missing_validation_split(tmp_path, write):
    splits = {"train": ("train",), "validation": ("validation",)}
    held = dataclasses.replace(REVIEWS, splits=splits, holdout=3)
    write("train", *({"text": letter, "label": 1} for letter in "abcdefg"))
    read = Reader(held, str(tmp_path), None)
    texts = {
        split: "".join(example["inputs"][-1] for example in read.examples(split))
        for split in read.splits
    }
    assert texts == {"train": "abdeg", "validation": "cf"}
    assert (read.count("train"), read.count("validation")) == (5, 2)
    write("validation", {"text": "h", "label": 1})
    read = Reader(held, str(tmp_path), None)
    assert (read.count("train"), read.count("validation")) == (7, 1)
    assert Reader(held, None, None).splits["validation"] == ("train",)


def test_another_folder_leaves_the_dataset_to_its_builder(tmp_path):
    read = reader(tmp_path)
    assert (read.files(["train"]), read.count("train")) == ([], 1000)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{oops", "train.jsonl, line 2: not JSON"),
        ("[1]", "train.jsonl, line 2: not a JSON object"),
        ({"texts": "a", "label": 0}, r"line 2: no field text \(did you mean texts\?\); add it"),
        ({"text": "a", "label": 2}, r"line 2: label is 2; it must be 0 to 1 \(bad, good\)"),
        ({"text": "a", "label": "good"}, "line 2: label is 'good'; it must be 0 to 1"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path, write, row, message):
    write("train", {"text": "a", "label": 1}, row)
    with pytest.raises(UserError, match=message):
        list(reader(tmp_path).examples("train"))


def test_a_missing_or_empty_split_is_said(tmp_path, write):
    write("matched")
    write("mismatched", {"text": "a", "label": 7})
    with pytest.raises(UserError, match=r"split matched\+mismatched has no examples; fill "):
        list(reader(tmp_path).examples("validation"))
    (tmp_path / "shop_reviews" / "matched.jsonl").unlink()
    with pytest.raises(UserError, match=r"matched.jsonl is missing; set DATA_DIR and put"):
        reader(tmp_path)


def test_rows_of_builders_become_plain_values():
    import numpy as np

    row = {"text": b"a\xc3\xa9", "label": np.int64(3), "spans": {"start": np.array([1, 2])}}
    assert plain(row) == {"text": "aé", "label": 3, "spans": {"start": [1, 2]}}
