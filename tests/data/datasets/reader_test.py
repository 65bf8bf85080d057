"""Reading published datasets from JSON lines, with their errors."""

import dataclasses
import itertools
import json
from typing import Any

import pytest

from prompt_tuning.data import metrics
from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.datasets.dataset import Dataset, label_word
from prompt_tuning.data.datasets.reader import Reader, plain
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
        (
            "{oops",
            r"train.jsonl, line 2: not JSON \(Expecting property name.*, at character 2\); fix",
        ),
        ("[1]", "train.jsonl, line 2: not a JSON object"),
        ({"texts": "a", "label": 0}, r"line 2: no field text \(did you mean texts\?\); add it"),
        ({"text": "a", "label": 2}, r"line 2: label is 2; it must be 0 to 1 \(bad, good\)"),
        ({"text": "a", "label": "good"}, "line 2: label is 'good'; it must be 0 to 1"),
    ],
)
def test_a_wrong_record_is_named_with_its_line(tmp_path, write, row, message):
    write("train", {"text": "a", "label": 1}, row)
    with pytest.raises(UserError, match=message):
        list(reader(tmp_path).examples("train"))


def test_a_missing_or_empty_split_is_said(tmp_path, write):
    write("matched")
    write("mismatched", {"text": "a", "label": 7})
    with pytest.raises(UserError, match=r"split matched\+mismatched has no examples; fill "):
        list(reader(tmp_path).examples("validation"))
    write("matched", {"text": "a", "label": -1})
    write("mismatched")
    with pytest.raises(UserError, match=r"no examples but 1 records labeled -1"):
        list(reader(tmp_path).examples("validation"))
    (tmp_path / "shop_reviews" / "matched.jsonl").unlink()
    with pytest.raises(UserError, match=r"matched.jsonl is missing; put train.jsonl"):
        reader(tmp_path)


def test_a_folder_of_nearly_the_right_name_is_pointed_out(tmp_path):
    (tmp_path / "shop_review").mkdir()
    message = r"has no folder shop_reviews \(did you mean shop_review\?\); put train.jsonl"
    with pytest.raises(UserError, match=message):
        Reader(dataclasses.replace(REVIEWS, tfds=None), str(tmp_path), None)
    with pytest.raises(UserError, match=message):
        list(reader(tmp_path).examples("train"))


def test_rows_of_builders_become_plain_values():
    import numpy as np

    row = {"text": b"a\xc3\xa9", "label": np.int64(3), "spans": {"start": np.array([1, 2])}}
    assert plain(row) == {"text": "aé", "label": 3, "spans": {"start": [1, 2]}}


@pytest.fixture
def c4(tmp_path):
    """Returns a directory with 25 rows of C4 as TensorFlow Datasets keeps them, in three files."""
    import tensorflow_datasets as tfds

    builder = tfds.builder("c4/en:3.1.0", data_dir=tmp_path)
    (tmp_path / "c4" / "en" / "3.1.0").mkdir(parents=True)
    names = ("content-length", "content-type", "timestamp", "url")
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=10)
    writer.initialize_splits(["train", "validation"])
    for split, count in (("train", 25), ("validation", 3)):
        rows = [dict.fromkeys(names, "-") | {"text": f"{split} {i}"} for i in range(count)]
        writer.add_examples({split: rows})
    writer.close_all()
    return tmp_path


def test_streamed_rows_of_a_builder_are_read_from_anywhere(c4):
    read = Reader(DATASETS["c4_prefix_lm"], None, str(c4))
    whole = [example["targets"] for example in read.examples("train")]
    assert whole == [f"train {i}" for i in range(25)]
    for start in (0, 9, 10, 24, 25, 57):
        got = [each["targets"] for each in itertools.islice(read.endless("train", start), 30)]
        assert got == [whole[number % 25] for number in range(start, start + 30)]


def test_a_builder_prepares_files_that_were_fetched_by_hand(tmp_path):
    import tensorflow_datasets as tfds

    features: Any = tfds.builder("newsroom:1.0.0", data_dir=tmp_path).info.features
    row = {name: 0.5 if each.dtype == "float32" else "-" for name, each in features.items()}
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name in ("train", "dev", "test"):
        text = {"text": f"{name} text", "summary": f"{name} summary"}
        (manual / f"{name}.jsonl").write_text(json.dumps(row | text | {"url": "-", "date": "-"}))
    read = Reader(DATASETS["newsroom"], None, str(tmp_path))
    assert read.awaits_download
    got = list(read.examples("validation"))
    assert not read.awaits_download
    assert got == [{"inputs": "dev text", "targets": "dev summary"}]


def test_streamed_rows_of_a_file_are_read_from_anywhere(tmp_path):
    (tmp_path / "c4_en").mkdir()
    lines = "".join(json.dumps({"text": str(i)}) + "\n\n" for i in range(7))
    for split in ("train", "validation"):
        (tmp_path / "c4_en" / f"{split}.jsonl").write_text(lines)
    read = Reader(DATASETS["c4_prefix_lm"], str(tmp_path), None)
    for start in (0, 6, 7, 23):
        got = [each["targets"] for each in itertools.islice(read.endless("train", start), 10)]
        assert got == [str(number % 7) for number in range(start, start + 10)]
    assert (read.count("train"), read.count("validation")) == (7, 7)
    (tmp_path / "c4_en" / "train.jsonl").write_text("\n")
    with pytest.raises(UserError, match=r"split train has no examples; fill .*train.jsonl"):
        next(read.endless("train", 3))


def test_a_limit_leaves_the_other_rows_out(tmp_path):
    few = dataclasses.replace(REVIEWS, limits={"validation": 2})
    folder = tmp_path / "shop_reviews"
    folder.mkdir()
    for name in ("train", "matched", "mismatched"):
        lines = (json.dumps({"text": f"{name} {i}", "label": 0}) for i in range(5))
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    read = Reader(few, str(tmp_path), None)
    assert [each["inputs"][-9:] for each in read.examples("validation")] == [
        "matched 0",
        "matched 1",
    ]
    assert (read.count("validation"), read.count("train")) == (2, 5)
