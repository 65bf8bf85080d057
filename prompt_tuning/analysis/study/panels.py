"""Panels: small plots side by side, as PNG and SVG files and inline in a page."""

import dataclasses
import io
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from prompt_tuning.analysis.figures import PALETTE, new_figure, save_png
from prompt_tuning.analysis.study.page import breakable
from prompt_tuning.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#16161a"
"""Color of text and lines; inline, the color of the page's text."""

FIRST, SECOND = PALETTE[:2]
"""Colors of curves and points; inline, those of the page's style sheet."""

_IN_A_PAGE = {INK: "currentColor", FIRST: "var(--first)", SECOND: "var(--second)"}

_COLUMNS = 4
_LETTERS = 40  # of a panel's title on one line
_INKED = tuple(
    "text.color axes.labelcolor axes.edgecolor xtick.color ytick.color grid.color".split()
)
_SVG: Any = {"svg.fonttype": "none", "svg.hashsalt": "prompt_tuning"}
_GEOMETRY = ("d", "x", "y", "transform", "viewBox")
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Panel:
    """A plot among several.

    Attributes:
        name: Title, such as the target.
        summary: One line on the result, below the title.
        label: Description for screen readers.
        draw: Draws the plot on axes.
        size: Width and height, in inches.
    """

    name: str
    summary: str
    label: str
    draw: Callable[["Axes"], object]
    size: tuple[float, float] = (3.4, 2.6)


def html(panels: Sequence[Panel], stem: str, *, wide: bool = False) -> str:
    """Returns panels side by side as HTML; they stack where the page is narrow.

    Args:
        panels: The panels.
        stem: Prefix of all ids; unique within a page.
        wide: Whether each panel gets more room.
    """
    figures = "".join(
        f"<figure>\n<figcaption><b>{breakable(panel.name)}</b><br>{breakable(panel.summary)}"
        f"</figcaption>\n{_drawn(panel, f'{stem}-{index}')}\n</figure>\n"
        for index, panel in enumerate(panels)
    )
    return f'<div class="panels{" wide" if wide else ""}">\n{figures}</div>\n'


def save_panel(panel: Panel, stem: Path) -> None:
    """Writes one panel, without its title, as `stem.png` and `stem.svg`."""
    with ink():
        figure = new_figure(*panel.size)
        panel.draw(figure.add_subplot())
        save_figure(figure, stem)


def save_panels(panels: Sequence[Panel], stem: Path, *, legend: bool = False) -> None:
    """Writes panels of one size as one picture: `stem.png` and `stem.svg`.

    Args:
        panels: The panels.
        stem: Path of the files without their suffix.
        legend: Whether to draw the first panel's legend below all of them.
    """
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    width, height = panels[0].size
    with ink():
        figure = new_figure(width * columns, height * rows + (0.5 if legend else 0.0))
        for index, panel in enumerate(panels):
            axes = figure.add_subplot(rows, columns, index + 1)
            axes.set_title(_title(panel), fontsize=9, loc="left", parse_math=False)
            panel.draw(axes)
        if legend:
            handles = figure.axes[0].get_legend_handles_labels()[0]
            figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
        save_figure(figure, stem)


def label_axes(axes: "Axes", x: str, y: str) -> None:
    """Labels the axes of a panel and adds a light grid."""
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid()


@contextmanager
def ink() -> Iterator[None]:
    """Makes Matplotlib draw text and axes in `INK` within the context."""
    # Matplotlib takes most of a second to import.
    import matplotlib

    settings: Any = {**dict.fromkeys(_INKED, INK), "grid.alpha": 0.15}
    with matplotlib.rc_context(settings):
        yield


def save_figure(figure: "Figure", stem: Path) -> None:
    """Writes the figure as `stem.png` and `stem.svg`; the same figure gives the same bytes."""
    save_png(figure, stem.with_name(f"{stem.name}.png"))
    figure.set_layout_engine("none")  # Keep the layout that the PNG got.
    write_bytes(stem.with_name(f"{stem.name}.svg"), _svg(figure, transparent=False))


def inline(figure: "Figure", name: str, label: str) -> str:
    """Returns the figure as an SVG element for a page.

    Args:
        figure: The figure; `INK`, `FIRST` and `SECOND` are replaced by the page's colors.
        name: Prefix of all ids; unique within a page.
        label: Description for screen readers.
    """
    root = ElementTree.fromstring(_svg(figure, transparent=True))
    ids = {element.attrib.get("id") for element in root.iter()}
    used = {
        reference
        for element in root.iter()
        for value in element.attrib.values()
        for reference in _references(value)
        if reference in ids
    }
    for parent in root.iter():
        for child in [c for c in parent if c.tag.endswith(("}style", "}metadata"))]:
            parent.remove(child)
        parent.tag = parent.tag.rpartition("}")[2]
        parent.attrib = {
            key.rpartition("}")[2]: _of_page(value, key, name, used)
            for key, value in parent.attrib.items()
            if key != "id" or value in used
        }
        parent.tail = None
        if parent.tag != "text":
            parent.text = None
    for size in ("width", "height"):
        del root.attrib[size]
    root.attrib = {**root.attrib, "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(panel: Panel, name: str) -> str:
    with ink():
        figure = new_figure(*panel.size)
        panel.draw(figure.add_subplot())
        return inline(figure, name, panel.label)


def _title(panel: Panel) -> str:
    """Returns name and summary, wrapped to the panel's width."""
    lines = [line for text in (panel.name, panel.summary) for line in textwrap.wrap(text, _LETTERS)]
    return "\n".join(lines)


def _svg(figure: "Figure", *, transparent: bool) -> bytes:
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context(_SVG):
        figure.savefig(out, format="svg", transparent=transparent, metadata=_NO_METADATA)
    return out.getvalue()


def _references(value: str) -> list[str]:
    return re.findall(r"#([\w.]+)\)?$", value)


def _of_page(value: str, key: str, name: str, used: set[str]) -> str:
    """Returns an attribute with prefixed ids, the page's colors and font, and short numbers."""
    if key == "id":
        return f"{name}-{value}"
    if key in _GEOMETRY:
        return re.sub(r"\d+\.\d\d+", lambda number: f"{float(number[0]):.1f}", value)
    for reference in _references(value):
        if reference in used:
            value = value.replace(f"#{reference}", f"#{name}-{reference}")
    for color, of_page in _IN_A_PAGE.items():
        value = value.replace(color, of_page)
    return re.sub(r"font-family:[^;]*;? ?", "", value)
