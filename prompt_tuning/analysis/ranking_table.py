"""The table of rankings: which source each similarity puts first, and which is the best."""

import numpy as np

from prompt_tuning.analysis.correlation import SOURCES, Points, points
from prompt_tuning.analysis.study import Study
from prompt_tuning.analysis.table import Cell, Column, Line, Table


def ranking_table(study: Study) -> Table:
    """Returns, for each target, the best source and the most similar one, with its place.

    The place is that of its gain among those of all sources: 1 is the best. Sources with several
    seeds count with their mean; a target's own task is left out. The last line has the means.
    """
    columns = [Column("target"), Column("best source"), Column("gain %", numeric=True)]
    columns.append(Column("mean gain %", numeric=True))
    for name in study.similarities:
        columns += [Column(f"first by {name}"), Column("its gain %", numeric=True)]
        columns.append(Column("its place", numeric=True))
    every = {name: points(study, name, SOURCES) for name in study.similarities}
    lines: list[Line] = []
    for row, target in enumerate(study.transfer.targets):
        found = [each[row].where(~each[row].same_task) for each in every.values()]
        if found and found[0].gains.size:
            lines.append(Line([target, *_cells(study, found)]))
    if lines:
        means = [_mean([line.cells[column] for line in lines]) for column in range(len(columns))]
        lines.append(Line(["mean", *means[1:]], strong=True))
    title = f"Ranking of sources, by {study.measure}"
    return Table(columns, lines, title, "A target's own task is left out.")


def _cells(study: Study, found: list[Points]) -> list[Cell]:
    gains, sources = found[0].gains, study.transfer.sources
    best = int(np.argmax(gains))
    cells: list[Cell] = [sources[found[0].groups[best]], float(gains[best]), float(gains.mean())]
    for each in found:
        first = int(np.argmax(each.similarities))
        place = 1 + int((gains > gains[first]).sum())
        cells += [sources[each.groups[first]], float(gains[first]), place]
    return cells


def _mean(cells: list[Cell]) -> Cell:
    numbers = [cell for cell in cells if isinstance(cell, int | float)]
    return float(np.mean(numbers)) if numbers else ""
