"""Published figures, and which of our results they stand beside."""

import dataclasses

import pytest

from prompt_tuning.analysis.report.published import (
    adapted_size,
    published_retrieval,
    published_score,
)
from prompt_tuning.analysis.report.result_groups import Setting

SPOT = Setting("t5_1_1_lm100k_base", "spot", "glue", "file", 262_144, "validation")
LESTER = Setting(
    "google/t5-xxl-lm-adapt",
    "prompt_tuning",
    init="class_labels",
    steps=30_000,
    split="validation",
    prefixed=False,
)


def test_spot_is_matched_by_source_and_steps():
    assert published_score(SPOT, "glue") == 82.8
    assert published_score(SPOT, "super_glue") == 73.2
    assert published_score(dataclasses.replace(SPOT, source="mrqa"), "super_glue") == 68.4
    assert published_score(dataclasses.replace(SPOT, steps=30_000), "glue") == 82.0


def test_several_metrics_of_a_task_count_as_their_mean():
    assert published_score(LESTER, "super_glue_cb") == pytest.approx(99.15)
    assert published_score(LESTER, "super_glue_multirc") == pytest.approx(77.2)
    assert published_score(LESTER, "super_glue") == 90.5
    base = dataclasses.replace(LESTER, backbone="t5_1_1_lm100k_base")
    assert published_score(base, "glue_mrpc") == pytest.approx(87.5)


def test_the_carried_averages_agree_with_the_carried_tasks():
    tasks = "boolq cb copa multirc record rte wic wsc".split()
    scores = [published_score(LESTER, f"super_glue_{task}") or 0.0 for task in tasks]
    assert sum(scores) / 8 == pytest.approx(90.5, abs=0.05)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "t5_1_1_base"},
        {"backbone": "t5_1_1_lm100k_large"},
        {"method": "zero_shot"},
        {"source": "super_glue_rte"},
        {"steps": 100},
        {"split": "test"},
        {"prefixed": False},
        {"points": (("length", "5"),)},
    ],
)
def test_another_experiment_has_no_published_figure(change: dict):
    assert published_score(dataclasses.replace(SPOT, **change), "glue") is None


def test_sizes_are_of_the_adapted_model_alone():
    assert adapted_size("t5_1_1_lm100k_xl") == adapted_size("google/t5-xl-lm-adapt") == "xl"
    assert adapted_size("google/t5-v1_1-xl") is None
    assert adapted_size("t5_mini") is None


def test_retrieval_is_matched_by_method_similarity_and_k():
    top = published_retrieval("best_of_top_k", "per_token", 6)
    assert top and (top.average, top.absolute, top.relative) == (79.2, 4.5, 22.1)
    own = published_retrieval("prompt_tuning", None, None)
    assert own and (own.average, own.absolute) == (74.7, None)
    mixture = published_retrieval("top_k_multitask_mixture", "mean_token", 12)
    assert mixture and mixture.absolute == 3.1
    for other in (("best_of_top_k", "per_token", 2), ("best_of_random_k", None, 3)):
        assert published_retrieval(*other) is None
    with_oracle = published_retrieval("oracle", None, None)
    assert with_oracle and with_oracle.absolute == pytest.approx(
        with_oracle.average - own.average, abs=0.05
    )
