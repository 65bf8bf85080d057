"""The picture of learning curves from retrieved prompts and without them."""

import matplotlib.image
import pytest

from prompt_tuning.analysis import library_plot
from prompt_tuning.analysis.library_table import StartRows, compare
from tests.analysis.rows import row


@pytest.mark.parametrize(("retrieved", "seeds"), [(1, 1), (15, 3)])
def test_the_picture_is_1200_pixels_wide_and_has_a_line_for_each_start(tmp_path, retrieved, seeds):
    def start(number: int, similarity: float | None) -> StartRows:
        curves = [[[step, number + step / 10 + s] for step in (0, 50, 100)] for s in range(seeds)]
        rows = [row("new", 50.0, seed=seed, curve=curve) for seed, curve in enumerate(curves)]
        return StartRows(f"mini_task_{number}", similarity, rows)

    starts = [start(number, 1 - number / 20) for number in range(retrieved)]
    path = tmp_path / "report" / "curves.png"
    library_plot.curves_plot(compare([*starts, start(20, None)]), path, title="new")
    image = matplotlib.image.imread(path)
    assert image.shape[:2] == (600, 1200)
    colours = {tuple(pixel) for pixel in (image[:, :, :3] * 255).round().astype(int).reshape(-1, 3)}
    assert {(0, 114, 178), (213, 94, 0)} <= colours
