"""A drawing: as PNG and SVG files, and as SVG within a page, in the page's own ink."""

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from prompt_tuning.storage import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#16161a"
"""The colour of text and lines: within a page, that of the page's text."""

FIRST, SECOND = "#0072b2", "#d55e00"
"""Colours of what is drawn (Okabe and Ito): within a page, those of its style sheet."""

_IN_A_PAGE = {INK: "currentColor", FIRST: "var(--first)", SECOND: "var(--second)"}

_LINE = 40  # letters of a panel's title on one line
_INKED = tuple(
    "text.color axes.labelcolor axes.edgecolor xtick.color ytick.color grid.color".split()
)
_SVG: Any = {"svg.fonttype": "none", "svg.hashsalt": "prompt_tuning"}
_GEOMETRY = ("d", "x", "y", "transform", "viewBox")
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


@contextmanager
def ink() -> Iterator[None]:
    """Draws text and axes in `INK` while it is open."""
    # Matplotlib takes most of a second to import.
    import matplotlib

    settings: Any = {**dict.fromkeys(_INKED, INK), "grid.alpha": 0.15}
    with matplotlib.rc_context(settings):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty figure; sizes are in inches, of 100 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def title(axes: "Axes", name: str, words: str) -> None:
    """Writes a name, and words below it, above a panel; both are broken to its width."""
    lines = [line for text in (name, words) for line in textwrap.wrap(text, _LINE)]
    axes.set_title("\n".join(lines), fontsize=9, loc="left", parse_math=False)


def write(figure: "Figure", stem: Path) -> None:
    """Writes the figure as `stem.png` and `stem.svg`; the same figure gives the same bytes."""
    png = io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    figure.set_layout_engine("none")  # Its places are found, and are the same in both files.
    write_bytes(stem.with_name(f"{stem.name}.png"), png.getvalue())
    write_bytes(stem.with_name(f"{stem.name}.svg"), _svg(figure, transparent=False))


def inline(figure: "Figure", name: str, label: str) -> str:
    """Returns the figure as an SVG element for a page.

    Args:
        figure: What to draw; what has the colour `INK`, `FIRST` or `SECOND` takes the page's.
        name: Begins all ids in it, so it must differ between the figures of a page.
        label: What the figure shows, for readers who do not see it.
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
            key.rpartition("}")[2]: _own(value, key, name, used)
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


def _svg(figure: "Figure", *, transparent: bool) -> bytes:
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context(_SVG):
        figure.savefig(out, format="svg", transparent=transparent, metadata=_NO_METADATA)
    return out.getvalue()


def _references(value: str) -> list[str]:
    return re.findall(r"#([\w.]+)\)?$", value)


def _own(value: str, key: str, name: str, used: set[str]) -> str:
    """Returns an attribute with ids of the page, the page's ink and font, and short numbers."""
    if key == "id":
        return f"{name}-{value}"
    if key in _GEOMETRY:
        return re.sub(r"\d+\.\d\d+", lambda number: f"{float(number[0]):.1f}", value)
    for reference in _references(value):
        if reference in used:
            value = value.replace(f"#{reference}", f"#{name}-{reference}")
    for colour, of_page in _IN_A_PAGE.items():
        value = value.replace(colour, of_page)
    return re.sub(r"font-family:[^;]*;? ?", "", value)
