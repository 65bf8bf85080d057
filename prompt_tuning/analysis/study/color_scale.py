"""Color scales for color-blind readers, on light and dark backgrounds."""

import dataclasses
import functools
import math

import numpy as np

LEVELS = 21
"""Colors of a scale; the middle one of a diverging scale is around 0."""

_LIMITS = (5, 10, 20, 30, 50, 100)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps values to `LEVELS` colors.

    Attributes:
        name: A name of `COLORMAPS`.
        low: Values up to here have the first color.
        high: Values from here on have the last color.
    """

    name: str
    low: float
    high: float

    def level(self, value: float) -> int:
        """Returns the index of a value's color; values out of bounds are clipped."""
        part = (value - self.low) / (self.high - self.low)
        return min(max(math.floor(part * LEVELS), 0), LEVELS - 1)

    def beyond(self, values: np.ndarray) -> int:
        """Returns how many values are out of bounds."""
        return int(np.sum((values < self.low) | (values > self.high)))


def diverging(values: np.ndarray) -> Scale:
    """Returns a scale around 0 that holds 95 % of the values and ends at a round number.

    It ends at 100 at most.
    """
    sizes = np.abs(values[np.isfinite(values)])
    widest = float(np.quantile(sizes, 0.95)) if sizes.size else 0.0
    limit = next((limit for limit in _LIMITS if widest <= limit), _LIMITS[-1])
    return Scale("diverging", -limit, limit)


def sequential(values: np.ndarray, per_unit: float) -> Scale:
    """Returns a scale from the least to the greatest value, rounded outwards.

    Args:
        values: The values.
        per_unit: Round numbers per unit: 10 for tenths, 0.1 for tens.
    """
    known = values[np.isfinite(values)]
    ends = (known.min(), known.max()) if known.size else (0.0, 1.0)
    # Values within rounding error of a round number count as that number.
    low, high = math.floor(ends[0] * per_unit + 1e-9), math.ceil(ends[1] * per_unit - 1e-9)
    return Scale("sequential", low / per_unit, max(high, low + 1) / per_unit)


# Red to blue through white, or through black; cividis looks alike to all readers.
COLORMAPS = {
    "diverging": {"light": "RdBu", "dark": "berlin_r"},
    "sequential": {"light": "cividis", "dark": "cividis"},
}
"""Matplotlib's colormaps by the name of a scale and the background."""


@functools.cache
def colors(scale: str, background: str = "light") -> tuple[str, ...]:
    """Returns the `LEVELS` colors of a scale on a `light` or `dark` background, as `#rrggbb`."""
    # Matplotlib takes most of a second to import.
    import matplotlib
    from matplotlib.colors import to_hex

    steps = np.linspace(0.03, 0.97, LEVELS)
    colormap = matplotlib.colormaps[COLORMAPS[scale][background]]
    return tuple(to_hex(color) for color in colormap(steps))


def ink_on(color: str) -> str:
    """Returns black or white, whichever has more contrast with a color."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, color))


def contrast(one: str, other: str) -> float:
    """Returns the contrast ratio of two colors, from 1 to 21 (WCAG 2.2)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def style_sheet() -> str:
    """Returns CSS rules for the classes `diverging-0`, `diverging-1`, ..."""
    light = "".join(_rules(name, "light") for name in COLORMAPS)
    dark = "".join(
        _rules(n, "dark") for n, maps in COLORMAPS.items() if maps["dark"] != maps["light"]
    )
    return f"{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _rules(scale: str, background: str) -> str:
    return "".join(
        f".{scale}-{level} {{ background: {color}; color: {ink_on(color)}; }}\n"
        for level, color in enumerate(colors(scale, background))
    )


def _luminance(color: str) -> float:
    parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))
