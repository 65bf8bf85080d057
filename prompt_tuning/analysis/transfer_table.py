"""The transfer matrix as a table: what each source gives each target."""

import numpy as np

from prompt_tuning.analysis.statistics import spread
from prompt_tuning.analysis.study import ERROR_REDUCTION, Study
from prompt_tuning.analysis.table import Cell, Column, Line, Score, Table


def transfer_table(study: Study) -> Table:
    """Returns sources by targets: mean ± standard deviation over all pairs of seeds, in percent.

    Relative error reduction or relative performance, by the study's measure; the last column is
    the mean over the targets that a source has scores for, its own task left out.
    """
    transfer = study.transfer
    # [S, T, J * I]
    gains = np.moveaxis(transfer.by_source(study.gains), 2, 0)
    gains = gains.reshape(*gains.shape[:2], -1)
    columns = [Column(name, numeric=True) for name in (*transfer.targets, "mean")]
    lines = []
    for source, of_source in zip(transfer.sources, gains, strict=True):
        cells: list[Cell] = [Score(spread(each[np.isfinite(each)].tolist())) for each in of_source]
        means = [
            float(each[np.isfinite(each)].mean())
            for target, each in zip(transfer.targets, of_source, strict=True)
            if target != source and np.isfinite(each).any()
        ]
        lines.append(Line([source, *cells, float(np.mean(means)) if means else None]))
    tuned = study.measure == ERROR_REDUCTION
    what = "Relative error reduction" if tuned else "Relative performance"
    title = f"{what} in percent, sources by targets, mean ± standard deviation over seeds"
    return Table([Column("source"), *columns], lines, title)
