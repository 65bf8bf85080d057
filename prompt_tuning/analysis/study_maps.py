"""The heat maps of a transfer study: what each source gives each target, and what is alike."""

import numpy as np

from prompt_tuning.analysis.clustering import clustered
from prompt_tuning.analysis.colour_scale import diverging, sequential
from prompt_tuning.analysis.heat_map import HeatMap
from prompt_tuning.analysis.statistics import finite_mean
from prompt_tuning.analysis.study import ERROR_REDUCTION, Study

MEAN = "mean"


def transfer_map(study: Study) -> HeatMap:
    """Returns what each source gives each target, in percent: the mean over pairs of seeds.

    The sources that give most on average over the other targets come first.
    """
    transfer = study.transfer
    names = np.array([candidate.source for candidate in transfer.candidates])
    of_sources = [study.gains[..., names == source] for source in transfer.sources]
    gains = np.array([finite_mean(of_source, (1, 2)) for of_source in of_sources])  # [S, T]
    same = np.array(transfer.sources)[:, None] == np.array(transfer.targets)[None, :]
    means = finite_mean(np.where(same, np.nan, gains), 1)
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
    values = np.concatenate([gains, means[:, None]], axis=1)[order]
    scale = diverging(values) if study.measure == ERROR_REDUCTION else sequential(values, 0.1)
    return HeatMap(
        title=f"{study.measure.capitalize()} (%), sources by targets",
        rows=tuple(transfer.sources[index] for index in order),
        columns=(*transfer.targets, MEAN),
        corner="source \\ target",
        values=values,
        marked=np.pad(same[order], ((0, 0), (0, 1))),
        mark="same task",
        scale=scale,
        decimals=1,
    )


def similarity_map(study: Study, similarity: str, title: str) -> HeatMap:
    """Returns the similarities between all tasks, those that are alike side by side."""
    values = study.task_similarities[similarity]
    order = clustered(values).order
    values = values[np.ix_(order, order)]
    tasks = tuple(study.tasks[index] for index in order)
    off = ~np.eye(len(tasks), dtype=bool)
    digits = _digits(values[off])
    return HeatMap(
        title=title,
        rows=tasks,
        columns=tasks,
        corner="task",
        values=values,
        marked=~off,
        mark="same task",
        scale=sequential(values[off], 10**digits),
        decimals=digits + 1,
    )


def _digits(values: np.ndarray) -> int:
    """Returns how many decimals it takes to tell values apart: 1 where they span 0.3 or more."""
    return 1 + sum(float(np.ptp(values)) < limit for limit in (0.3, 0.03))
