"""Drawings as files and within a page."""

import matplotlib.image
import pytest

from prompt_tuning.analysis.figures import new_figure
from prompt_tuning.analysis.study import panels


@pytest.fixture
def figure():
    """Returns a figure with text, axes, a line in the first color and points in the ink."""
    with panels.ink():
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.plot([0, 1, 2], [0, 1, 0], color=panels.FIRST, label="a line")
        axes.plot([0, 1, 2], [1, 0, 1], color=panels.INK, marker="o", linestyle="none")
        axes.set_title("a_$x$_<b>&", parse_math=False)
        return figure


def test_a_page_gives_ink_colors_and_font(figure):
    svg = panels.inline(figure, "it", "what <it> shows")
    assert panels.INK not in svg
    assert panels.FIRST not in svg
    assert svg.count("currentColor") > 10
    assert svg.count("var(--first)") == 1
    assert "font-family" not in svg
    assert 'role="img" aria-label="what &lt;it&gt; shows"' in svg
    assert "a_$x$_&lt;b&gt;&amp;</text>" in svg


def test_ids_of_two_drawings_differ(figure):
    one, other = (set(_ids(panels.inline(figure, name, ""))) for name in ("one", "other"))
    assert one and other and not one & other


def test_files_are_the_same_each_time_and_have_no_date(figure, tmp_path):
    panels.save(figure, tmp_path / "a")
    panels.save(figure, tmp_path / "b")
    for suffix in ("png", "svg"):
        first = (tmp_path / f"a.{suffix}").read_bytes()
        assert first == (tmp_path / f"b.{suffix}").read_bytes()
    assert matplotlib.image.imread(tmp_path / "a.png").shape[:2] == (200, 300)
    svg = (tmp_path / "a.svg").read_text()
    assert "a_$x$_&lt;b&gt;&amp;</text>" in svg
    assert "date" not in svg


def _ids(svg: str) -> list[str]:
    return [part.split('"')[0] for part in svg.split(' id="')[1:]]
