"""The picture of learning curves."""

import matplotlib.image
import pytest

from prompt_tuning.analysis import plots
from prompt_tuning.analysis.statistics import CLASS_LABELS, SAMPLED_VOCABULARY, SPOT


def row(start, target, seed, steps=100):
    curve = [[step, 50.0 + step / 10 + seed] for step in range(0, 101, 25)]
    start_columns = {"method": start.method, "init": start.init}
    return {**start_columns, "target": target, "seed": seed, "curve": curve, "steps": steps}


@pytest.mark.parametrize(("targets", "seeds"), [(1, 1), (10, 3)])
def test_the_picture_is_1200_pixels_wide_and_has_every_colour(tmp_path, targets, seeds):
    rows = [
        row(start, f"target_{number}", seed)
        for number in range(targets)
        for start in (CLASS_LABELS, SAMPLED_VOCABULARY, SPOT)
        for seed in range(seeds)
    ]
    for shift, each in enumerate(rows):
        each["curve"] = [[step, score + shift] for step, score in each["curve"]]
    plots.curves_plot(rows, tmp_path / "report" / "curves.png")
    image = matplotlib.image.imread(tmp_path / "report" / "curves.png")
    assert image.shape[1] == 1200
    colours = {tuple(pixel) for pixel in (image[:, :, :3] * 255).round().astype(int).reshape(-1, 3)}
    assert {(0, 114, 178), (213, 94, 0), (0, 158, 115)} <= colours
