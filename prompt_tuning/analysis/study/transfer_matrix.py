"""The transfer matrix of a study: what each source gives each target, as heat map and as table."""

import numpy as np

from prompt_tuning.analysis.statistics import finite_mean, spread
from prompt_tuning.analysis.study.color_scale import diverging, sequential
from prompt_tuning.analysis.study.heat_map import HeatMap
from prompt_tuning.analysis.study.scores import ERROR_REDUCTION, Study
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table

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


def transfer_table(study: Study) -> Table:
    """Returns sources by targets: mean ± standard deviation over all pairs of seeds, in percent.

    Relative error reduction or relative performance, by the study's measure; the last column is
    the mean over the targets that a source has scores for, its own task left out.
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
