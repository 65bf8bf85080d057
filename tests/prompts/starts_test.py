"""Starts: what each takes its first prompt from, and what a prompt file has to fit."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts.starts import (
    ClassLabels,
    FromFile,
    FromRow,
    FromText,
    SampledVocab,
    Start,
    StartContext,
    Uniform,
    start_key,
)
from prompt_tuning.types import UserError
from tests.training import toy

TABLE = np.arange(32 * 2, dtype=np.float32).reshape(32, 2)
CONTEXT = StartContext(
    embeddings=TABLE,  # pyright: ignore[reportArgumentType]
    vocabulary=toy.Digits(),
    labels=("5 7", "6"),
    backbone="toy",
    backbone_digest="digest",
    placement="prefix",
    target_prefix="",
    best_prompts={},
)


def _first(start: Start, seed: int = 0) -> np.ndarray:
    return start.prompt(start_key(seed), (4, 2), CONTEXT)


def _file(path: Path, **changes: Any) -> str:
    facts: dict[str, Any] = {"backbone": "toy", "backbone_digest": "digest", "shape": (4, 2)}
    facts |= changes
    array = np.full(facts.pop("shape"), 0.5, np.float32)
    prompt = files.describe(
        array, name="p", task="t", step=1, seed=0, init="x", metrics={}, created="", **facts
    )
    files.save(path, prompt)
    return str(path)


def test_sampled_vocabulary_takes_rows_of_the_table_that_the_seed_decides():
    first = _first(SampledVocab(8))
    assert len(np.unique(first[:, 0])) == 4
    assert set(first[:, 0]) <= set(TABLE[:8, 0])
    np.testing.assert_array_equal(first, _first(SampledVocab(8)))
    assert (first != _first(SampledVocab(8), seed=1)).any()


def test_class_labels_come_first_and_the_rest_is_sampled():
    first = _first(ClassLabels(None, 8))
    np.testing.assert_array_equal(first[:2], [TABLE[[5, 7]].mean(0), TABLE[6]])
    np.testing.assert_array_equal(first[2:], _first(SampledVocab(8))[2:])
    np.testing.assert_array_equal(_first(ClassLabels(("9",), 8))[0], TABLE[9])


def test_a_task_without_labels_starts_from_the_sampled_vocabulary():
    unlabelled = dataclasses.replace(CONTEXT, labels=())
    first = ClassLabels(None, 8).prompt(start_key(0), (4, 2), unlabelled)
    sampled = SampledVocab(8).prompt(start_key(0), (4, 2), unlabelled)
    np.testing.assert_array_equal(first, sampled)


def test_a_text_gives_one_embedding_a_piece():
    np.testing.assert_array_equal(_first(FromText("3 1 4 1 5", 8)), TABLE[[3, 1, 4, 1]])


def test_uniform_numbers_are_in_the_range_of_the_paper():
    first = _first(Uniform("paper"))
    assert first.min() < 0 and np.abs(first).max() < 0.5


def test_a_file_gives_its_prompt_and_its_digest(tmp_path: Path):
    start = FromFile(_file(tmp_path / "p.safetensors"))
    np.testing.assert_array_equal(_first(start), np.full((4, 2), 0.5))
    digest = files.digest(np.full((4, 2), 0.5, np.float32))
    assert start.describe() == {"init": "file", "path": start.path, "digest": digest}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "t5_xl"}, r"it has backbone t5_xl \(need toy\)"),
        ({"backbone_digest": "other"}, r"it has backbone digest other \(need digest\)"),
        ({"shape": (5, 2)}, r"it has prompt length 5 \(need 4\)"),
        ({"shape": (4, 3)}, r"it has hidden size 3 \(need 2\)"),
        ({"placement": "suffix_after_eos"}, r"has placement suffix_after_eos \(need prefix\)"),
        ({"target_prefix": "30"}, r"it has target prefix 30 \(need none\)"),
    ],
)
def test_a_prompt_for_something_else_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
):
    path = _file(tmp_path / "p.safetensors", **changes)
    with pytest.raises(UserError, match=message) as error:
        _first(FromFile(path))
    assert path in str(error.value)


def test_a_row_that_is_not_finished_gives_no_prompt():
    assert FromRow("source").after == "source"
    with pytest.raises(UserError, match="no row 'source' has finished"):
        _first(FromRow("source"))
