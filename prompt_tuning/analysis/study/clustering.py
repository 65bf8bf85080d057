"""Hierarchical clustering of a study's tasks by similarity: a heat map and a dendrogram."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from prompt_tuning.analysis.study.color_scale import sequential
from prompt_tuning.analysis.study.heat_map import HeatMap
from prompt_tuning.analysis.study.panels import FIRST, Panel
from prompt_tuning.analysis.study.scores import Study
from prompt_tuning.transfer.similarity import display_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _LINE, _REST = 4.0, 0.17, 0.6  # inches


class Clustering(NamedTuple):
    """The order of M tasks, `[M]`, and SciPy's linkage matrix, `[M - 1, 4]`."""

    order: np.ndarray
    linkage: np.ndarray


class Joints(NamedTuple):
    """Coordinates of the M - 1 joints of a dendrogram, four points each, `[M - 1, 4]`.

    The x axis is the similarity at which groups join, with the tasks themselves at the right end;
    the i-th task from the top is at y = i.
    """

    similarities: np.ndarray
    heights: np.ndarray


def clustered(similarities: np.ndarray) -> Clustering:
    """Returns the clustering by average linkage of the distances `1 - similarity`.

    Leaves are ordered so that neighbors are most alike.

    Args:
        similarities: Between M tasks, `[M, M]`; the two values of a pair are averaged.
    """
    if len(similarities) < 2:
        return Clustering(np.arange(len(similarities)), np.zeros((0, 4)))
    # SciPy takes a while to import, which would delay every command.
    from scipy.cluster import hierarchy

    distances = np.maximum(1.0 - (similarities + similarities.T) / 2.0, 0.0)
    pairs = distances[np.triu_indices(len(distances), 1)]
    linkage = hierarchy.linkage(pairs, "average", optimal_ordering=True)
    return Clustering(hierarchy.leaves_list(linkage), linkage)


def similarity_map(study: Study, similarity: str) -> HeatMap:
    """Returns the similarities between all tasks, in the order of their clustering."""
    values = study.task_similarities[similarity]
    order = clustered(values).order
    values = values[np.ix_(order, order)]
    tasks = tuple(study.tasks[index] for index in order)
    off = ~np.eye(len(tasks), dtype=bool)
    digits = _digits(values[off])
    return HeatMap(
        title=f"Similarity of tasks: {display_name(similarity)}",
        rows=tasks,
        columns=tasks,
        corner="task",
        values=values,
        marked=~off,
        mark="same task",
        scale=sequential(values[off], 10**digits),
        decimals=digits + 1,
    )


def joints(clustering: Clustering) -> Joints:
    """Returns the coordinates of the dendrogram of a clustering."""
    from scipy.cluster import hierarchy

    tree = hierarchy.dendrogram(clustering.linkage, no_plot=True)
    distances = np.array(tree["dcoord"])
    similarities = 1.0 - clustering.linkage[:, 2]
    end = similarities.max() + max(0.05 * float(np.ptp(similarities)), 1e-3)
    return Joints(
        similarities=np.where(distances == 0.0, end, 1.0 - distances),
        heights=(np.array(tree["icoord"]) - 5.0) / 10.0,  # SciPy has leaves at 5, 15, 25, ...
    )


def dendrogram(study: Study, similarity: str) -> Panel:
    """Returns the dendrogram of a study's tasks, in the order of `similarity_map`."""
    clustering = clustered(study.task_similarities[similarity])
    tasks = [study.tasks[index] for index in clustering.order]
    lines = joints(clustering)

    def draw(axes: "Axes") -> None:
        for xs, ys in zip(*lines, strict=True):
            axes.plot(xs, ys, color=FIRST, linewidth=1.2)
        axes.set_yticks(range(len(tasks)), tasks, fontsize=8, parse_math=False)
        axes.yaxis.tick_right()
        axes.yaxis.set_tick_params(length=0)
        axes.set_ylim(len(tasks) - 0.5, -0.5)
        axes.set_xlim(right=lines.similarities.max())
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(display_name(similarity), fontsize=9)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "left", "right"]].set_visible(False)

    return Panel(
        name="Hierarchical clustering",
        summary="groups join at the mean similarity of their tasks",
        label=f"dendrogram of {len(tasks)} tasks by {display_name(similarity)}",
        draw=draw,
        size=(_WIDTH, _REST + _LINE * len(tasks)),
    )


def _digits(values: np.ndarray) -> int:
    """Returns the decimals needed to tell values apart: 1 where they span 0.3 or more."""
    return 1 + sum(float(np.ptp(values)) < limit for limit in (0.3, 0.03))
