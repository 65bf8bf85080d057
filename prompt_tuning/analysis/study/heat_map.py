"""Heat maps: a matrix of values in colored cells, as an HTML table and as a picture."""

import dataclasses
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prompt_tuning.analysis.figures import new_figure
from prompt_tuning.analysis.study import panels
from prompt_tuning.analysis.study.color_scale import (
    LEVELS,
    Scale,
    colors,
    ink_on,
)
from prompt_tuning.analysis.study.page import breakable
from prompt_tuning.analysis.table import MISSING, Column, Decimal, Line, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SAMPLES = (0, 5, 10, 15, 20)  # levels that the legend shows
_CELL, _LINE, _LETTER = 0.46, 0.26, 0.085  # inches: a cell's width and height, a letter's width


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class HeatMap:
    """A matrix with its names, colors and marks.

    Attributes:
        title: Title of the map.
        rows: Names of the rows, R.
        columns: Names of the columns, K.
        corner: Text in the corner cell, such as `source \\ target`.
        values: `[R, K]`; NaN where there is none.
        marked: Mask of the framed cells, `[R, K]`.
        mark: Meaning of the frame.
        scale: Color scale of the values.
        decimals: Decimals shown.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    corner: str
    values: np.ndarray
    marked: np.ndarray
    mark: str
    scale: Scale
    decimals: int

    def text(self, value: float) -> str:
        """Returns the text of a cell."""
        return MISSING if np.isnan(value) else str(Decimal(float(value), self.decimals))


def as_table(heat_map: HeatMap) -> Table:
    """Returns the matrix as a table, for Markdown and CSV."""
    return Table(
        columns=[Column(heat_map.corner), *(Column(name, True) for name in heat_map.columns)],
        lines=[
            Line([name, *(_cell(value, heat_map.decimals) for value in values)])
            for name, values in zip(heat_map.rows, heat_map.values, strict=True)
        ],
    )


def html(heat_map: HeatMap) -> str:
    """Returns an HTML table in a scrolling box, with a legend of the colors.

    The names of rows and columns stay visible.
    """
    columns = "".join(
        f'<th scope="col"><span>{escape(name)}</span></th>' for name in heat_map.columns
    )
    lines = "".join(
        f'<tr><th scope="row">{breakable(name)}</th>{_cells(heat_map, row)}</tr>\n'
        for row, name in enumerate(heat_map.rows)
    )
    title = escape(heat_map.title)
    return (
        f'<div class="scroll tall" role="region" tabindex="0" aria-label="{title}">\n'
        f'<table class="heat">\n<thead><tr><td>{escape(heat_map.corner)}</td>{columns}</tr>'
        f"</thead>\n<tbody>\n{lines}</tbody>\n</table>\n</div>\n{_legend(heat_map)}"
    )


def save_heat_map(heat_map: HeatMap, stem: Path) -> None:
    """Draws the matrix and writes `stem.png` and `stem.svg`."""
    rows, columns = heat_map.values.shape
    left = _LETTER * max(map(len, heat_map.rows)) + 0.3
    above = _LETTER * max(map(len, heat_map.columns)) + 0.6
    with panels.ink():
        figure = new_figure(max(left + _CELL * columns + 1.0, 6.0), above + _LINE * max(rows, 6))
        axes = figure.add_subplot()
        _draw_cells(heat_map, axes)
        figure.suptitle(heat_map.title, fontsize=11, fontweight="bold", parse_math=False)
        panels.save_figure(figure, stem)


def _cell(value: float, digits: int) -> Decimal | None:
    return None if np.isnan(value) else Decimal(float(value), digits)


def _cells(heat_map: HeatMap, row: int) -> str:
    cells = []
    for value, marked in zip(heat_map.values[row], heat_map.marked[row], strict=True):
        names = [] if np.isnan(value) else [f"{heat_map.scale.name}-{heat_map.scale.level(value)}"]
        names += ["marked"] if marked else []
        classes = f' class="{" ".join(names)}"' if names else ""
        words = f'<span class="unseen"> {escape(heat_map.mark)}</span>' if marked else ""
        cells.append(f"<td{classes}>{heat_map.text(value)}{words}</td>")
    return "".join(cells)


def _legend(heat_map: HeatMap) -> str:
    scale = heat_map.scale
    values = np.linspace(scale.low, scale.high, len(_SAMPLES))
    words = [heat_map.text(value).removesuffix(".0") for value in values]
    words[0], words[-1] = f"{words[0]} or less", f"{words[-1]} or more"
    items = "".join(
        f'<li class="{scale.name}-{level}">{word}</li>'
        for level, word in zip(_SAMPLES, words, strict=True)
    )
    if heat_map.marked.any():
        items += f'<li class="marked">{escape(heat_map.mark)}</li>'
    return f'<ul class="legend" aria-label="colors">{items}</ul>\n'


def _draw_cells(heat_map: HeatMap, axes: "Axes") -> None:
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.patches import Rectangle

    scale = heat_map.scale
    palette = colors(scale.name)
    edges = np.linspace(scale.low, scale.high, LEVELS + 1)
    mesh = axes.pcolormesh(
        np.clip(heat_map.values, scale.low, scale.high),
        cmap=ListedColormap(palette),
        norm=BoundaryNorm(edges, LEVELS),
        edgecolors="white",
        linewidth=0.5,
    )
    for (row, column), value in np.ndenumerate(heat_map.values):
        color = panels.INK if np.isnan(value) else ink_on(palette[scale.level(value)])
        place = (column + 0.5, row + 0.5)
        text = axes.text(*place, heat_map.text(value), ha="center", va="center", fontsize=8)
        text.set(color=color, in_layout=False)
        if heat_map.marked[row, column]:
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=panels.INK))
    for axis, names in ((axes.xaxis, heat_map.columns), (axes.yaxis, heat_map.rows)):
        axis.set_ticks(np.arange(len(names)) + 0.5, names, fontsize=9, parse_math=False)
        axis.set_tick_params(length=0)
    axes.xaxis.set_tick_params(rotation=90, labeltop=True, labelbottom=False)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.set_ylabel(heat_map.corner, fontsize=9, parse_math=False)
    bar = axes.figure.colorbar(mesh, ax=axes, fraction=0.05, pad=0.02, shrink=0.9, aspect=30)
    bar.set_ticks(np.linspace(scale.low, scale.high, len(_SAMPLES)).tolist())
    bar.ax.tick_params(labelsize=8)
