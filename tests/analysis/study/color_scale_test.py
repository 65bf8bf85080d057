"""Colors of values: their order, their ends, and that text on them can be read."""

import re

import numpy as np
import pytest

from prompt_tuning.analysis.study.color_scale import (
    COLORMAPS,
    LEVELS,
    Scale,
    colors,
    contrast,
    diverging,
    ink_on,
    sequential,
    style_sheet,
)


def test_a_diverging_scale_is_centred_at_zero_and_clipped():
    values = np.array([*np.linspace(-40, 40, 98), -900.0, np.nan])
    scale = diverging(values)
    assert (scale.low, scale.high) == (-50, 50)
    assert [scale.level(value) for value in (-900, -50, -0.1, 0, 0.1, 50, 900)] == [
        *(0, 0, 10, 10, 10),
        *(20, 20),
    ]
    assert scale.beyond(values) == 1


def test_colors_end_at_100_percent_at_most():
    assert diverging(np.array([-3000.0, 500.0])) == Scale("diverging", -100, 100)
    assert diverging(np.array([np.nan])).high > 0


@pytest.mark.parametrize(
    ("values", "per_unit", "ends"),
    [
        ([0.12, 0.31], 10, (0.1, 0.4)),
        ([12.3, 100 + 1e-12], 0.1, (10, 100)),
        ([0.3, 0.3], 10, (0.3, 0.4)),
        ([np.nan], 10, (0, 1)),
    ],
)
def test_a_sequential_scale_ends_at_round_numbers(values, per_unit, ends):
    scale = sequential(np.array(values), per_unit)
    assert (scale.low, scale.high) == pytest.approx(ends)


@pytest.mark.parametrize("background", ["light", "dark"])
@pytest.mark.parametrize("scale", COLORMAPS)
def test_every_color_differs_and_text_on_it_can_be_read(scale, background):
    found = colors(scale, background)
    assert len(set(found)) == LEVELS
    assert min(contrast(color, ink_on(color)) for color in found) >= 4.5


def test_the_middle_of_a_diverging_scale_is_close_to_the_ground():
    middle = LEVELS // 2
    assert contrast(colors("diverging", "light")[middle], "#ffffff") < 1.2
    assert contrast(colors("diverging", "dark")[middle], "#000000") < 1.2


def test_the_style_sheet_has_each_level_and_another_diverging_scale_in_the_dark():
    light, dark = style_sheet().split("@media (prefers-color-scheme: dark)")
    assert len(re.findall(r"^\.(diverging|sequential)-\d+ ", light, re.MULTILINE)) == 2 * LEVELS
    assert len(re.findall(r"^\.diverging-\d+ ", dark, re.MULTILINE)) == LEVELS


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
