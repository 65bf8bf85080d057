"""Drawings as files and within a page."""

import pytest

from prompt_tuning.analysis.figures import new_figure
from prompt_tuning.analysis.study import panels
from prompt_tuning.analysis.study.panels import Panel
from tests.analysis import pictures


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
    panels.save_figure(figure, tmp_path / "a")
    panels.save_figure(figure, tmp_path / "b")
    for suffix in ("png", "svg"):
        first = (tmp_path / f"a.{suffix}").read_bytes()
        assert first == (tmp_path / f"b.{suffix}").read_bytes()
    assert pictures.size(tmp_path / "a.png") == (300, 200)
    svg = (tmp_path / "a.svg").read_text()
    assert "a_$x$_&lt;b&gt;&amp;</text>" in svg
    assert "date" not in svg


def test_panels_on_a_page_have_their_names_and_ids_of_their_own():
    drawn = panels.html([_panel("a_b"), _panel("<c>")], "it", wide=True)
    assert drawn.startswith('<div class="panels wide">')
    assert "<figcaption><b>a_<wbr>b</b><br>says words" in drawn
    assert "<figcaption><b>&lt;c&gt;</b><br>says words" in drawn
    ids = _ids(drawn)
    assert len(ids) > 4 and len(ids) == len(set(ids))


def test_panels_in_one_picture_stand_four_in_a_row_under_their_names(tmp_path):
    panels.save_panels([_panel(f"n{n}") for n in range(5)], tmp_path / "all", legend=True)
    assert pictures.size(tmp_path / "all.png") == (4 * 200, 2 * 100 + 50)
    svg = (tmp_path / "all.svg").read_text()
    assert all(f">n{n}</text>" in svg for n in range(5))
    assert svg.count(">the line</text>") == 1
    # Long words are broken.
    assert ">says words words words words words words</text>" in svg


def test_one_panel_has_no_name_in_its_picture(tmp_path):
    panels.save_panel(_panel("name"), tmp_path / "one")
    assert pictures.size(tmp_path / "one.png") == (200, 100)
    assert ">name</text>" not in (tmp_path / "one.svg").read_text()


def _panel(name: str) -> Panel:
    return Panel(
        name=name,
        summary="says " + "words " * 12,
        label="a line",
        draw=lambda axes: axes.plot([0, 1], [1, 0], marker="o", label="the line"),
        size=(2, 1),
    )


def _ids(svg: str) -> list[str]:
    return [part.split('"')[0] for part in svg.split(' id="')[1:]]
