"""The dendrogram of tasks: its order, and where groups join."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.analysis.dendrogram import draw, inline, task_dendrogram
from prompt_tuning.analysis.study_maps import similarity_map
from tests.analysis.made_up import made_up_matrix


@pytest.fixture
def study():
    """Returns a study of two pairs of tasks, each alike, and far from each other."""
    alike = np.array(
        [[1, 0.2, 0.9, 0.2], [0.2, 1, 0.2, 0.7], [0.9, 0.2, 1, 0.2], [0.2, 0.7, 0.2, 1]]
    )
    return dataclasses.replace(made_up_matrix(4), task_similarities={"mean_token": alike})


def test_groups_join_at_the_mean_similarity_of_their_tasks(study):
    found = task_dendrogram(study, "mean_token")
    joints = found.similarities[:, 1]
    assert sorted(joints) == pytest.approx([0.2, 0.7, 0.9])
    assert found.heights[np.argmin(joints)] == pytest.approx([0.5, 0.5, 2.5, 2.5])
    assert (found.similarities.max() > 0.9) and (found.similarities[:, [1, 2]].max() <= 0.9)


def test_the_order_is_that_of_the_heat_map(study):
    assert tuple(task_dendrogram(study, "mean_token").tasks) == (
        similarity_map(study, "mean_token", "").rows
    )


def test_the_picture_names_every_task(study, tmp_path):
    found = task_dendrogram(study, "mean_token")
    draw(found, tmp_path / "tree")
    svg = inline(found, "tree").svg
    assert all(f">{task}</text>" in svg for task in study.tasks)
    assert svg.count("var(--first)") == 3
    assert (tmp_path / "tree.png").exists() and (tmp_path / "tree.svg").exists()
