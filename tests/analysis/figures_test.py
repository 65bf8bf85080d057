"""Charts: where values stand, and what is drawn of them."""

import numpy as np
import pytest

from prompt_tuning.analysis.figures import (
    MARKERS,
    PALETTE,
    Curve,
    Series,
    draw_curves,
    line_chart,
    new_figure,
    numbered_style,
    positions,
    seed_curve,
)
from prompt_tuning.analysis.statistics import Spread
from tests.analysis import pictures


@pytest.mark.parametrize(
    ("values", "places", "logarithmic"),
    [
        (("1", "5", "100"), (1.0, 5.0, 100.0), True),
        (("10", "15"), (10.0, 15.0), False),
        (("0", "1000"), (0.0, 1000.0), False),
        (("uniform", "5"), (0.0, 1.0), False),
        (("5", "5.0"), (0.0, 1.0), False),
    ],
)
def test_numbers_stand_where_they_are_and_words_side_by_side(values, places, logarithmic):
    assert positions(values) == (dict(zip(values, places, strict=True)), logarithmic)


def test_more_series_than_colors_are_drawn_with_missing_points(tmp_path):
    series = [
        Series(f"line {i}", {"a": Spread(10.0 * i, 2.0, 2), "b": Spread(10.0 * i, None, 1)})
        for i in range(len(PALETTE) + 1)
    ]
    series.append(Series("line 0", {"b": Spread(95.0, None, 1)}, published=True))
    line_chart(series, ("a", "b", "c"), tmp_path / "new" / "x.png", title="t", axis="x")
    assert pictures.size(tmp_path / "new" / "x.png")[0] == 900


def test_a_chart_has_the_standard_deviation_as_bars(tmp_path):
    for name, std in (("with", 2.0), ("without", None), ("again", None)):
        series = [Series("line", {"1": Spread(10.0, std, 2), "2": Spread(11.0, None, 1)})]
        line_chart(series, ("1", "2"), tmp_path / name, title="t", axis="x")
    with_bars, without, again = (
        (tmp_path / name).read_bytes() for name in ("with", "without", "again")
    )
    assert without == again != with_bars


def test_a_curve_is_the_mean_and_the_range_of_the_seeds_that_reached_a_step():
    curve = seed_curve([{10: 5.0, 0: 1.0}, {0: 3.0}], label="it", style={"color": "black"})
    assert list(curve.means.items()) == [(0, 2.0), (10, 5.0)]
    assert curve.band == [(1.0, 3.0), (5.0, 5.0)]


def test_a_curve_is_drawn_with_its_band_or_its_bars():
    axes = new_figure(3, 2).add_subplot()
    means = {0: 1.0, 10: 2.0}
    style = {"color": "#009e73", "linestyle": "--"}
    band = Curve(means=means, style=style, label="band", band=[(0.0, 1.5), (2.0, 3.0)])
    bars = Curve(means=means, style=style, label="bars", bars=[0.5, 1.0])
    draw_curves(axes, [band, bars, Curve(means=means, style=style)])
    assert np.asarray(axes.lines[0].get_xydata()).tolist() == [[0, 1], [10, 2]]
    assert {line.get_color() for line in axes.lines} == {"#009e73"}
    filled, whiskers = axes.collections
    assert filled.get_paths()[0].get_extents().bounds == (0, 0, 10, 3)
    assert [np.asarray(path.vertices).tolist() for path in whiskers.get_paths()] == [
        [[0, 0.5], [0, 1.5]],
        [[10, 1], [10, 3]],
    ]
    assert axes.get_legend_handles_labels()[1] == ["band", "bars"]


def test_styles_differ_until_colors_and_markers_are_used_up():
    styles = [tuple(numbered_style(index).values()) for index in range(len(PALETTE) * len(MARKERS))]
    assert len(set(styles)) == len(styles)
    assert numbered_style(0)["marker"] == numbered_style(len(PALETTE) - 1)["marker"]
