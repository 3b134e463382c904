"""A small antialiased painter for backdrops.

Lengths are in heights of the canvas, from its upper left corner: y runs from 0 to 1, x from 0 to `width`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]  # RGB, 0 to 255
Floats = NDArray[np.float32]


class Canvas:
    """A picture (3, rows, columns) in float32, 0 to 255, painted from back to front."""

    def __init__(self, rows: int, columns: int) -> None:
        self.pixels: Floats = np.zeros((3, rows, columns), np.float32)
        self.rows = rows
        self.columns = columns
        self.width = columns / rows
        self.x: Floats = _centres(columns, rows)[None]
        self.y: Floats = _centres(rows, rows)[:, None]

    def gradient(self, stops: Sequence[tuple[float, Colour]]) -> None:
        """Fill everything with colours that change from top to bottom through (y, colour) stops."""
        at = [y for y, _ in stops]
        for channel in range(3):
            values = np.interp(self.y[:, 0], at, [colour[channel] for _, colour in stops])
            self.pixels[channel] = values[:, None]

    def below(self, line: Floats, colour: Colour) -> None:
        """Fill what lies under a line, given as its y for each column (1, columns)."""
        top = max(0, math.floor(float(line.min()) * self.rows - 1))
        cover = ((self.y[top:] - line) * self.rows + 0.5).clip(0, 1)
        self._blend(slice(top, None), slice(None), cover, colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, *, flat: float = 1.0) -> None:
        """A disc, or an ellipse whose height is `flat` times its width."""
        rows = self._range(y - radius * flat, y + radius * flat, self.rows)
        columns = self._range(x - radius, x + radius, self.columns)
        distance = np.hypot(self.x[:, columns] - x, (self.y[rows] - y) / flat)
        self._blend(rows, columns, ((radius - distance) * self.rows + 0.5).clip(0, 1), colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """An upright rectangle."""
        rows, columns = self._range(top, bottom, self.rows), self._range(left, right, self.columns)
        across = self._overlap(self.x[:, columns], left, right)
        down = self._overlap(self.y[rows], top, bottom)
        self._blend(rows, columns, across * down, colour)

    def triangle(self, x: float, top: float, half_width: float, bottom: float, colour: Colour) -> None:
        """A triangle with its tip up."""
        rows = self._range(top, bottom, self.rows)
        columns = self._range(x - half_width, x + half_width, self.columns)
        half = (self.y[rows] - top) * (half_width / (bottom - top))
        cover = ((half - np.abs(self.x[:, columns] - x)) * self.rows + 0.5).clip(0, 1)
        self._blend(rows, columns, cover * self._overlap(self.y[rows], top, bottom), colour)

    def _overlap(self, centres: Floats, start: float, stop: float) -> Floats:
        """How much of each pixel along an axis lies between start and stop."""
        half = 0.5 / self.rows
        overlap = np.minimum(centres + half, stop) - np.maximum(centres - half, start)
        return np.asarray((overlap * self.rows).clip(0, 1), dtype=np.float32)

    def _range(self, start: float, stop: float, count: int) -> slice:
        first = max(0, math.floor(start * self.rows) - 1)
        return slice(min(first, count), max(min(math.ceil(stop * self.rows) + 1, count), first))

    def _blend(self, rows: slice, columns: slice, cover: Floats, colour: Colour) -> None:
        for channel in range(3):
            region = self.pixels[channel, rows, columns]
            region += cover * (colour[channel] - region)


def _centres(count: int, rows: int) -> Floats:
    """Where the middles of `count` pixels lie along an axis."""
    return np.asarray((np.arange(count) + 0.5) / rows, dtype=np.float32)
