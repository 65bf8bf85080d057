"""The transfer matrix of a study: the gain of each source on each target, as map and as table."""

import numpy as np

from prompt_tuning.analysis.statistics import finite_mean, spread
from prompt_tuning.analysis.study.color_scale import diverging, sequential
from prompt_tuning.analysis.study.heat_map import HeatMap
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, Study
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table

MEAN = "mean"


def transfer_map(study: Study) -> HeatMap:
    """Returns the gain of each source on each target, in percent: the mean over pairs of seeds.

    Sources are sorted by their mean gain on the other targets, best first.
    """
    transfer = study.transfer
    gains = transfer.source_means(study.gains).T  # [S, T]
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


def transfer_table(study: Study) -> Table:
    """Returns sources by targets: mean ± standard deviation over pairs of seeds, in percent.

    The last column is the mean over a source's targets, without its own task.
    """
    transfer = study.transfer
    # [S, T, J * I]
    gains = np.moveaxis(transfer.by_source(study.gains), 2, 0)
    gains = gains.reshape(*gains.shape[:2], -1)
    columns = [Column(name, numeric=True) for name in (*transfer.targets, MEAN)]
    lines = []
    for source, of_source in zip(transfer.sources, gains, strict=True):
        of_pairs = [pair[np.isfinite(pair)] for pair in of_source]
        cells: list[Cell] = [Score(spread(pair.tolist())) for pair in of_pairs]
        means = [
            float(pair.mean())
            for target, pair in zip(transfer.targets, of_pairs, strict=True)
            if target != source and pair.size
        ]
        lines.append(Line([source, *cells, float(np.mean(means)) if means else None]))
    title = (
        f"{study.measure.capitalize()} in percent, sources by targets, "
        "mean ± standard deviation over seeds"
    )
    return Table([Column("source"), *columns], lines, title)
