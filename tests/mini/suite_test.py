"""Tests of the declarations of the mini suite."""

import subprocess
import sys

import pytest

from prompt_tuning.data import metrics, references
from prompt_tuning.mini.suite import SOURCES, SUITE, TARGETS, VERSION, declared


def test_there_are_sixteen_sources_and_ten_targets():
    assert len(SOURCES) == 16
    assert len(TARGETS) == 10
    assert set(SUITE) == set(SOURCES) | set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_starts_from_a_source_of_its_family(name):
    source = SUITE[SUITE[name].source or ""]
    assert source.name in SOURCES
    assert source.family == SUITE[name].family


def test_at_most_half_of_the_targets_share_label_words_with_their_source():
    shared = [n for n in TARGETS if set(SUITE[n].labels) & set(SUITE[SUITE[n].source or ""].labels)]
    assert len(shared) <= 5


def test_declarations_are_of_the_suite():
    task = declared("mini_cb")
    assert task is not None and task.version == str(VERSION)
    scoring = references.refer_scoring(task.metrics, task.postprocessor, "mini_cb")
    assert (task.metrics, scoring.labels) == ([metrics.accuracy], SUITE["mini_cb"].labels)
    mixture = declared("mini_inference_sources")
    assert mixture is not None and mixture.version.endswith(": mini_docnli, mini_mnli, mini_qnli")
    assert declared("glue_cola") is None


def test_declaring_the_suite_imports_nothing_that_draws_its_text():
    code = """import sys
import prompt_tuning.mini.suite
print(*sorted(name for name in sys.modules if name.startswith("prompt_tuning.mini.")))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["prompt_tuning.mini.suite"]
