"""Heat maps as tables: values, colors, and what is marked or missing."""

import numpy as np

from prompt_tuning.analysis.study import heat_map
from prompt_tuning.analysis.study.color_scale import Scale
from prompt_tuning.analysis.study.heat_map import HeatMap
from prompt_tuning.analysis.table import comma_separated, markdown

MAP = HeatMap(
    title="Gains",
    rows=("a_b", "<c>"),
    columns=("x", "y"),
    corner="source \\ target",
    values=np.array([[12.345, -0.04], [np.nan, -70.0]]),
    marked=np.array([[False, True], [False, False]]),
    mark="same task",
    scale=Scale("diverging", -50, 50),
    decimals=1,
)


def test_cells_have_values_and_the_classes_of_their_colors():
    text = heat_map.html(MAP)
    assert '<th scope="row">a_<wbr>b</th><td class="diverging-13">12.3</td>' in text
    assert (
        '<td class="diverging-10 marked">0.0<span class="unseen"> same task</span></td></tr>'
        in text
    )
    assert '<th scope="row">&lt;c&gt;</th><td>-</td><td class="diverging-0">-70.0</td>' in text


def test_the_legend_names_the_ends_and_the_mark():
    text = heat_map.html(MAP)
    assert '<li class="diverging-0">-50 or less</li><li class="diverging-5">-25</li>' in text
    assert '<li class="diverging-20">50 or more</li><li class="marked">same task</li>' in text


def test_the_table_keeps_numbers_whole_in_csv():
    table = heat_map.as_table(MAP)
    assert comma_separated(table).splitlines() == [
        "source \\ target,x,y",
        "a_b,12.345,-0.04",
        "<c>,,-70.0",
    ]
    assert "| <c> | - | -70.0 |" in markdown(table)


def test_the_picture_has_every_value_as_text(tmp_path):
    heat_map.save_heat_map(MAP, tmp_path / "map")
    svg = (tmp_path / "map.svg").read_text()
    assert all(f">{value}</text>" in svg for value in ("12.3", "0.0", "-70.0", "&lt;c&gt;"))
    assert (tmp_path / "map.png").stat().st_size > 1000
