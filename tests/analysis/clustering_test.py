"""Hierarchical clustering of planted groups of tasks."""

import numpy as np

from prompt_tuning.analysis.clustering import clustered


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
