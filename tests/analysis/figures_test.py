"""Charts: where values stand, and what is drawn of them."""

import matplotlib.image
import pytest

from prompt_tuning.analysis.figures import PALETTE, Series, line_chart, positions
from prompt_tuning.analysis.statistics import Spread


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
    image = matplotlib.image.imread(tmp_path / "new" / "x.png")
    assert image.shape[1] == 900
