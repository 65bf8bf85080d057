"""A dendrogram: which tasks are alike, and how alike the groups of them are that join."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prompt_tuning.analysis import drawing
from prompt_tuning.analysis.clustering import clustered
from prompt_tuning.analysis.page import Panel
from prompt_tuning.analysis.scatter import similarity_name
from prompt_tuning.analysis.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _LINE, _REST = 4.0, 0.17, 0.6  # inches


@dataclasses.dataclass(frozen=True, eq=False)
class Dendrogram:
    """Holds M tasks in order, and the lines that join them.

    Attributes:
        tasks: From the top, M.
        similarities: Of the groups that join: where each of the M - 1 joints stands along x. A
            joint has four points `[M - 1, 4]`; a task itself stands at the right end.
        heights: Where they stand along y, `[M - 1, 4]`; task i stands at i.
        axis: Name of the x axis.
    """

    tasks: Sequence[str]
    similarities: np.ndarray
    heights: np.ndarray
    axis: str


def task_dendrogram(study: Study, similarity: str) -> Dendrogram:
    """Returns the dendrogram of a study's tasks, in the order of their heat map."""
    # SciPy takes a while to import, which every command would wait for.
    from scipy.cluster import hierarchy

    found = clustered(study.task_similarities[similarity])
    tree = hierarchy.dendrogram(found.linkage, no_plot=True)
    distances = np.array(tree["dcoord"])
    joints = 1.0 - found.linkage[:, 2]
    end = joints.max() + max(0.05 * float(np.ptp(joints)), 1e-3)
    return Dendrogram(
        tasks=[study.tasks[index] for index in found.order],
        similarities=np.where(distances == 0.0, end, 1.0 - distances),
        heights=(np.array(tree["icoord"]) - 5.0) / 10.0,  # SciPy has leaves at 5, 15, 25, ...
        axis=similarity_name(similarity),
    )


def draw(dendrogram: Dendrogram, stem: Path) -> None:
    """Draws the dendrogram, and writes it as PNG and SVG."""
    with drawing.ink():
        drawing.write(_figure(dendrogram), stem)


def inline(dendrogram: Dendrogram, name: str) -> Panel:
    """Returns the dendrogram for a page; `name` begins its ids."""
    label = f"dendrogram of {len(dendrogram.tasks)} tasks by {dendrogram.axis}"
    with drawing.ink():
        drawn = drawing.inline(_figure(dendrogram), name, label)
    words = "groups join at the mean similarity of their tasks"
    return Panel("Hierarchical clustering", words, drawn)


def _figure(dendrogram: Dendrogram) -> "Figure":
    figure = drawing.new_figure(_WIDTH, _REST + _LINE * len(dendrogram.tasks))
    axes = figure.add_subplot()
    for xs, ys in zip(dendrogram.similarities, dendrogram.heights, strict=True):
        axes.plot(xs, ys, color=drawing.FIRST, linewidth=1.2)
    places = range(len(dendrogram.tasks))
    axes.set_yticks(places, dendrogram.tasks, fontsize=8, parse_math=False)
    axes.yaxis.tick_right()
    axes.yaxis.set_tick_params(length=0)
    axes.set_ylim(len(dendrogram.tasks) - 0.5, -0.5)
    axes.set_xlim(right=dendrogram.similarities.max())
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(dendrogram.axis, fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "left", "right"]].set_visible(False)
    return figure
