"""Hierarchical clustering of tasks by their similarity, for heat maps and dendrograms."""

from typing import NamedTuple

import numpy as np


class Clustering(NamedTuple):
    """The order in which to show M tasks, `[M]`, and the linkage as SciPy has it, `[M - 1, 4]`."""

    order: np.ndarray
    linkage: np.ndarray


def clustered(similarities: np.ndarray) -> Clustering:
    """Returns the clustering by average linkage of the distances `1 - similarity`.

    The order of the leaves is the one in which neighbours are most alike.

    Args:
        similarities: Between M tasks, `[M, M]`; of the two values of a pair the mean is taken.
    """
    if len(similarities) < 2:
        return Clustering(np.arange(len(similarities)), np.zeros((0, 4)))
    # SciPy takes a while to import, which every command would wait for.
    from scipy.cluster import hierarchy

    distances = np.maximum(1.0 - (similarities + similarities.T) / 2.0, 0.0)
    pairs = distances[np.triu_indices(len(distances), 1)]
    linkage = hierarchy.linkage(pairs, "average", optimal_ordering=True)
    return Clustering(hierarchy.leaves_list(linkage), linkage)
