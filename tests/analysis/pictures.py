"""What a picture that was written looks like."""

from pathlib import Path

import matplotlib.image

PALETTE = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167))
"""The first colors that lines are drawn in: blue, vermilion, green and purple."""


def size(path: Path) -> tuple[int, int]:
    """Returns width and height in pixels."""
    height, width = matplotlib.image.imread(path).shape[:2]
    return width, height


def colors(path: Path) -> set[tuple[int, int, int]]:
    """Returns every color in it, as red, green and blue from 0 to 255."""
    pixels = (matplotlib.image.imread(path)[:, :, :3] * 255).round().astype(int).reshape(-1, 3)
    return {(int(red), int(green), int(blue)) for red, green, blue in {*map(tuple, pixels)}}
