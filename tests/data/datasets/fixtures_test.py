"""Every published dataset, from rows of its builder's real structure to scored answers.

`fixtures/<dataset>.json` holds invented rows by split of the source, and what has to become of
them by split of the task (`leaderboard` where labels are held back): `[inputs, targets]` of each
example, with a third text where the right answer is another than the target.
"""

import functools
import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from prompt_tuning.data.datasets.catalog import DATASETS
from prompt_tuning.data.datasets.dataset import HELD_BACK, Dataset
from prompt_tuning.data.datasets.reader import Reader, plain

FIXTURES = Path(__file__).parent / "fixtures"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.json"))
KINDS = {"str", "int", "float", "list of str", "list of int", "list of float"}


class Case(NamedTuple):
    """A dataset, a reader of its fixture's rows, and the expected examples by split."""

    dataset: Dataset
    reader: Reader
    expected: dict[str, list[list[str]]]


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    """Returns a function that writes a dataset's fixture as it comes out of its builder."""

    @functools.cache
    def write(name: str) -> Case:
        dataset = DATASETS[name]
        fixture = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
        data_dir = tmp_path_factory.mktemp("data")
        (data_dir / dataset.folder).mkdir()
        for split, rows in fixture["rows"].items():
            rows = through_builder(dataset.tfds, rows) if dataset.tfds else rows
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (data_dir / dataset.folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        return Case(dataset, Reader(dataset, str(data_dir), None), fixture["examples"])

    return write


def check_all(check: Callable[[Case], None], case_of: Callable[[str], Case]) -> None:
    """Applies a check to every fixture; names all that fail, each with what it says."""
    failed = []
    for name in NAMES:
        try:
            check(case_of(name))
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)


def through_builder(builder, rows):
    """Returns rows after TensorFlow Datasets wrote and read them; a wrong structure fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow_datasets as tfds

    features: Any = tfds.builder(builder, data_dir="/nowhere").info.features
    result = []
    for row in rows:
        assert set(row) == set(features)
        written = features.serialize_example(features.encode_example(row))
        result.append(plain(tfds.as_numpy(features.deserialize_example(written))))
    return result


def test_every_dataset_has_a_fixture():
    assert sorted(DATASETS) == NAMES


def test_rows_become_the_expected_examples(case_of):
    check_all(check_examples, case_of)


def check_examples(case: Case) -> None:
    held_back = [HELD_BACK] if case.dataset.leaderboard else []
    assert [*case.reader.splits, *held_back] == list(case.expected)
    prefix = f"{case.dataset.prefix} " if case.dataset.prefix else ""
    for split, lines in case.expected.items():
        examples = list(case.reader.examples(split))
        got = [[prefix + example["inputs"], example["targets"]] for example in examples]
        assert got == [line[:2] for line in lines]


def test_examples_have_the_same_plain_fields(case_of):
    check_all(check_fields, case_of)


def check_fields(case: Case) -> None:
    kinds: dict[str, set[str]] = {}
    names = set()
    for split in case.expected:
        for example in case.reader.examples(split):
            names.add(tuple(example))
            for name, value in example.items():
                kinds.setdefault(name, set()).add(kind(value))
    assert len(names) == 1
    for kinds_of_field in kinds.values():
        filled = kinds_of_field - {"empty list"}
        assert len(filled) <= 1 and filled <= KINDS


def kind(value):
    if isinstance(value, list | tuple):
        return f"list of {type(value[0]).__name__}" if value else "empty list"
    return type(value).__name__


def test_right_answers_score_100(case_of):
    check_all(check_scores, case_of)


def check_scores(case: Case) -> None:
    post = case.dataset.postprocess
    for split in case.expected.keys() - {"train", HELD_BACK}:
        examples = [
            {**example, "targets_pretokenized": example["targets"], "target_tokens": 1}
            for example in case.reader.examples(split)
        ]
        answers = [line[-1] for line in case.expected[split]]
        assert post is not None
        wanted = [post(each["targets"], example=each, is_target=True) for each in examples]
        got = [
            post(answer, example=each, is_target=False)
            for answer, each in zip(answers, examples, strict=True)
        ]
        for metric in case.dataset.metrics:
            of_scores = "scores" in inspect.signature(metric).parameters
            values = metric(wanted, [0.0] * len(got) if of_scores else got)
            assert values and values == pytest.approx(dict.fromkeys(values, 100.0))


def test_a_prepared_builder_gives_the_same_examples(tmp_path):
    import tensorflow_datasets as tfds

    dataset = DATASETS["super_glue_multirc"]
    fixture = json.loads((FIXTURES / f"{dataset.name}.json").read_text(encoding="utf-8"))
    assert dataset.tfds is not None
    builder: Any = tfds.builder(dataset.tfds, data_dir=tmp_path)
    Path(builder.data_dir).mkdir(parents=True)
    writer: Any = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=10)
    writer.initialize_splits(list(fixture["rows"]))
    writer.add_examples(fixture["rows"])
    writer.close_all()
    reader = Reader(dataset, None, str(tmp_path))
    for split, lines in fixture["examples"].items():
        got = [[f"multirc {e['inputs']}", e["targets"]] for e in reader.examples(split)]
        assert got == lines
