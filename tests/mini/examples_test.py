"""Tests of the text of the mini suite."""

import hashlib
import json
from collections import Counter

import pytest

from prompt_tuning.mini.examples import GRAMMARS, draw_examples
from prompt_tuning.mini.suite import SUITE, VERSION
from prompt_tuning.types import UserError


def test_every_task_has_a_grammar():
    assert list(GRAMMARS) == list(SUITE)


@pytest.mark.parametrize("name", SUITE)
def test_splits_have_their_sizes_and_share_no_input(name):
    sizes = SUITE[name].sizes
    inputs = [example["inputs"] for split in sizes for example in draw_examples(name, split)]
    assert len(inputs) == sum(sizes.values())
    assert len(set(inputs)) == len(inputs)


@pytest.mark.parametrize("name", SUITE)
def test_labels_are_balanced_and_name_the_targets(name):
    labels, examples = SUITE[name].labels, draw_examples(name, "test")
    if labels:
        counts = Counter(example["label"] for example in examples)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert all(example["targets"] == labels[int(example["label"])] for example in examples)
    else:
        assert all("label" not in example and example["targets"] for example in examples)


def test_texts_are_short():
    examples = [example for name in SUITE for example in draw_examples(name, "validation")]
    lengths = [len(str(example["inputs"]).split()) for example in examples]
    assert max(lengths) <= 38
    assert sum(lengths) / len(lengths) < 24


def test_examples_are_those_of_every_machine_and_of_their_version():
    digest = hashlib.sha256()
    for task in SUITE.values():
        for split in task.sizes:
            digest.update(f"{task.name} {split}\n".encode())
            for example in draw_examples(task.name, split):
                digest.update(f"{json.dumps(example, sort_keys=True)}\n".encode())
    assert (VERSION, digest.hexdigest()[:16]) == (1, "bf0e86011d14f197"), (
        "raise VERSION where examples changed on purpose, or caches keep the old ones"
    )


def test_callers_cannot_change_a_task():
    draw_examples("mini_cb", "train")[0]["inputs"] = "spoiled"
    assert draw_examples("mini_cb", "train")[0]["inputs"] != "spoiled"


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match="mini_cb has no split 'dev'; use one of train"):
        draw_examples("mini_cb", "dev")
