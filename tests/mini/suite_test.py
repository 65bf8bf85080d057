"""Tests of the mini suite."""

import hashlib
import json
from collections import Counter

import pytest

from prompt_tuning.data import metrics, references
from prompt_tuning.mini.suite import SOURCES, SUITE, TARGETS, VERSION, declared
from prompt_tuning.types import UserError


def test_there_are_sixteen_sources_and_ten_targets():
    assert len(SOURCES) == 16
    assert len(TARGETS) == 10
    assert set(SUITE) == set(SOURCES) | set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_starts_from_a_source_of_its_family(name):
    source = SUITE[SUITE[name].source or ""]
    assert source.role == "source"
    assert source.family == SUITE[name].family


def test_at_most_half_of_the_targets_share_label_words_with_their_source():
    shared = [n for n in TARGETS if set(SUITE[n].labels) & set(SUITE[SUITE[n].source or ""].labels)]
    assert len(shared) <= 5


@pytest.mark.parametrize("name", SUITE)
def test_splits_have_their_sizes_and_share_no_input(name):
    task = SUITE[name]
    inputs = [row["inputs"] for split in task.sizes for row in task.examples(split)]
    assert len(inputs) == sum(task.sizes.values())
    assert len(set(inputs)) == len(inputs)


@pytest.mark.parametrize("name", SUITE)
def test_labels_are_balanced_and_name_the_targets(name):
    task = SUITE[name]
    rows = task.examples("test")
    if task.labels:
        counts = Counter(row["label"] for row in rows)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert all(row["targets"] == task.labels[int(row["label"])] for row in rows)
    else:
        assert all("label" not in row and row["targets"] for row in rows)


def test_texts_are_short():
    rows = [row for task in SUITE.values() for row in task.examples("validation")]
    lengths = [len(str(row["inputs"]).split()) for row in rows]
    assert max(lengths) <= 38
    assert sum(lengths) / len(lengths) < 24


def test_examples_are_those_of_every_machine_and_of_their_version():
    digest = hashlib.sha256()
    for task in SUITE.values():
        for split in task.sizes:
            digest.update(f"{task.name} {split}\n".encode())
            for example in task.examples(split):
                digest.update(f"{json.dumps(example, sort_keys=True)}\n".encode())
    assert (VERSION, digest.hexdigest()[:16]) == (1, "bf0e86011d14f197"), (
        "raise VERSION where examples changed on purpose, or caches keep the old ones"
    )


def test_declarations_are_of_the_suite():
    task = declared("mini_cb")
    assert task is not None and task.version == str(VERSION)
    scoring = references.refer_scoring(task.metrics, task.postprocessor, "mini_cb")
    assert (task.metrics, scoring.labels) == ([metrics.accuracy], SUITE["mini_cb"].labels)
    mixture = declared("mini_inference_sources")
    assert mixture is not None and mixture.version.endswith(": mini_docnli, mini_mnli, mini_qnli")
    assert declared("glue_cola") is None


def test_callers_cannot_change_a_task():
    SUITE["mini_cb"].examples("train")[0]["inputs"] = "spoiled"
    assert SUITE["mini_cb"].examples("train")[0]["inputs"] != "spoiled"


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match="mini_cb has no split 'dev'; use one of train"):
        SUITE["mini_cb"].examples("dev")
