"""Hierarchical clustering of planted groups of tasks."""

import dataclasses
import re

import numpy as np
import pytest

from prompt_tuning.analysis.study import panels
from prompt_tuning.analysis.study.clustering import clustered, dendrogram, joints, similarity_map
from tests.analysis.made_up_studies import made_up_matrix


def test_planted_groups_stand_together_with_the_nearer_ones_side_by_side():
    groups = np.array([0, 1, 2, 0, 1, 2])
    alike = np.array([[1.0, 0.1, 0.6], [0.1, 1.0, 0.3], [0.6, 0.3, 1.0]])[np.ix_(groups, groups)]
    order, linkage = clustered(alike)
    assert groups[order].tolist() in ([0, 0, 2, 2, 1, 1], [1, 1, 2, 2, 0, 0])
    np.testing.assert_allclose(linkage[:, 2], [0, 0, 0, 0.4, 0.8], atol=1e-12)


def test_the_diagonal_and_noise_above_one_do_not_matter():
    alike = np.array([[0.2, 1.0 + 1e-7, 0.1], [1.0 + 1e-7, 0.2, 0.3], [0.1, 0.3, 0.2]])
    _, linkage = clustered(alike)
    np.testing.assert_allclose(linkage[:, 2], [0.0, 0.8])
    np.testing.assert_allclose(clustered(alike + np.diag([5.0, 5.0, 5.0])).linkage, linkage)


def test_one_task_is_a_cluster_of_its_own():
    order, linkage = clustered(np.ones((1, 1)))
    assert order.tolist() == [0] and linkage.shape == (0, 4)


@pytest.fixture
def study():
    """Returns a study of two pairs of tasks, each alike, and far from each other."""
    alike = np.array(
        [[1, 0.2, 0.9, 0.2], [0.2, 1, 0.2, 0.7], [0.9, 0.2, 1, 0.2], [0.2, 0.7, 0.2, 1]]
    )
    return dataclasses.replace(made_up_matrix(4), task_similarities={"mean_token": alike})


def test_groups_join_at_the_mean_similarity_of_their_tasks(study):
    similarities, heights = joints(clustered(study.task_similarities["mean_token"]))
    of_groups = similarities[:, 1]
    assert sorted(of_groups) == pytest.approx([0.2, 0.7, 0.9])
    assert heights[np.argmin(of_groups)] == pytest.approx([0.5, 0.5, 2.5, 2.5])
    assert (similarities.max() > 0.9) and (similarities[:, [1, 2]].max() <= 0.9)


def test_the_picture_names_every_task_in_the_order_of_the_heat_map(study, tmp_path):
    panel = dendrogram(study, "mean_token")
    panels.save_panel(panel, tmp_path / "tree")
    drawn = panels.html([panel], "tree")
    names = re.findall(r">(task_\d)</text>", drawn)
    assert tuple(names) == similarity_map(study, "mean_token").rows
    assert drawn.count("var(--first)") == 3
    assert (tmp_path / "tree.png").exists() and (tmp_path / "tree.svg").exists()


def test_similarities_that_hardly_differ_are_told_apart():
    alike = np.array([[1, 0.015, 0.07], [0.015, 1, 0.02], [0.07, 0.02, 1]])
    study = dataclasses.replace(made_up_matrix(3), task_similarities={"per_token": alike})
    shown = similarity_map(study, "per_token")
    assert (shown.scale.low, shown.scale.high, shown.decimals) == (0.01, 0.07, 3)


def test_tasks_that_are_alike_stand_side_by_side():
    study = made_up_matrix(4)
    alike = np.array([[1, 0, 0.9, 0], [0, 1, 0, 0.8], [0.9, 0, 1, 0], [0, 0.8, 0, 1.0]])
    study = dataclasses.replace(study, task_similarities={"mean_token": alike})
    shown = similarity_map(study, "mean_token")
    assert {shown.rows[:2], shown.rows[2:]} in (
        {("task_0", "task_2"), ("task_1", "task_3")},
        {("task_2", "task_0"), ("task_1", "task_3")},
        {("task_0", "task_2"), ("task_3", "task_1")},
        {("task_2", "task_0"), ("task_3", "task_1")},
    )
    assert shown.columns == shown.rows
    assert shown.values.diagonal() == pytest.approx(1)
    assert shown.values[0, 1] in (0.8, 0.9)
    assert (shown.scale.low, shown.scale.high) == (0, 0.9)
