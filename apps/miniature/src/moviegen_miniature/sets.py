"""The sets of the stage: eight backdrops, each with its own colours, horizon and landmarks.

Every set varies with its seed: where its landmarks stand, how high its horizon lies, and slightly in colour.
Surfaces are smooth on purpose: a miniature autoencoder must carry them together with the actor.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from moviegen_miniature.canvas import Canvas, Colour, Floats


def paint(setting: str, seed: int, rows: int, columns: int) -> Floats:
    """The backdrop (3, rows, columns), 0 to 255, of a set and its seed."""
    rng = np.random.default_rng(seed)
    canvas = Canvas(rows, columns)
    _PAINTERS[setting](canvas, rng)
    tint = 1 + rng.uniform(-0.05, 0.05, (3, 1, 1)) + rng.uniform(-0.05, 0.05)
    return (canvas.pixels * tint.astype(np.float32)).clip(0, 255)


def _hills(canvas: Canvas, rng: np.random.Generator, level: float, height: float, length: float) -> Floats:
    """A rolling line around y = level: (1, columns)."""
    first, second = rng.uniform(0, 2 * np.pi, 2)
    waves = np.sin(canvas.x * (2 * np.pi / length) + first)
    waves = waves + 0.4 * np.sin(canvas.x * (4.6 * np.pi / length) + second)
    return np.asarray(level + height * waves, dtype=np.float32)


def _cloud(canvas: Canvas, x: float, y: float, size: float, colour: Colour) -> None:
    for dx, dy, radius in ((-0.9, 0.15, 0.6), (0.9, 0.2, 0.55), (0.0, -0.15, 0.85), (0.0, 0.3, 1.3)):
        canvas.disc(x + dx * size, y + dy * size, radius * size, colour, flat=0.75 if radius < 1 else 0.35)


def _places(canvas: Canvas, rng: np.random.Generator, count: int) -> list[float]:
    """x of `count` landmarks, spread over the canvas."""
    step = canvas.width / count
    return [(index + rng.uniform(0.2, 0.8)) * step for index in range(count)]


def _sky(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (66, 150, 240)), (1, (186, 226, 252))])
    heights = rng.permutation([0.16, 0.5, 0.84])
    for x, y in zip(_places(canvas, rng, 3), heights, strict=True):
        _cloud(canvas, x, y + rng.uniform(-0.05, 0.05), rng.uniform(0.09, 0.13), (250, 252, 255))


def _field(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (122, 198, 248)), (0.6, (214, 240, 250))])
    horizon = rng.uniform(0.5, 0.58)
    canvas.below(_hills(canvas, rng, horizon, 0.035, 1.1), (136, 200, 96))
    x = rng.uniform(0.15, canvas.width - 0.15)
    canvas.box(x - 0.02, horizon - 0.12, x + 0.02, horizon + 0.08, (120, 84, 52))
    canvas.disc(x, horizon - 0.18, 0.12, (58, 142, 62))
    canvas.below(_hills(canvas, rng, horizon + 0.16, 0.03, 1.6), (94, 176, 70))
    canvas.below(_hills(canvas, rng, horizon + 0.32, 0.02, 1.3), (74, 156, 58))


def _night(canvas: Canvas, rng: np.random.Generator) -> None:
    night = [(0.0, (14, 18, 56)), (0.8, (52, 56, 122)), (1.0, (62, 62, 126))]
    canvas.gradient(night)
    for x in _places(canvas, rng, 9):
        canvas.disc(x, rng.uniform(0.05, 0.6), rng.uniform(0.012, 0.02), (250, 246, 210))
    x, y = rng.uniform(0.2, canvas.width - 0.2), rng.uniform(0.16, 0.24)
    canvas.disc(x, y, 0.1, (252, 244, 200))
    canvas.disc(x + 0.05, y - 0.025, 0.085, (22, 27, 70))
    canvas.below(_hills(canvas, rng, rng.uniform(0.78, 0.84), 0.03, 0.9), (20, 26, 52))


def _desert(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (250, 178, 96)), (0.6, (255, 232, 180))])
    horizon = rng.uniform(0.56, 0.64)
    x = rng.uniform(0.2, canvas.width - 0.2)
    canvas.triangle(x, horizon - 0.26, 0.26, horizon + 0.05, (206, 148, 88))
    canvas.below(_hills(canvas, rng, horizon, 0.03, 1.4), (232, 184, 112))
    x = (x + canvas.width * rng.uniform(0.35, 0.65)) % canvas.width
    green = (72, 138, 78)
    canvas.box(x - 0.025, horizon - 0.12, x + 0.025, horizon + 0.14, green)
    canvas.box(x - 0.09, horizon + 0.0, x, horizon + 0.035, green)
    canvas.box(x - 0.09, horizon - 0.07, x - 0.055, horizon + 0.035, green)
    canvas.below(_hills(canvas, rng, horizon + 0.17, 0.04, 1.7), (222, 164, 88))


def _sea(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (146, 214, 250)), (0.55, (236, 248, 250))])
    horizon = rng.uniform(0.44, 0.52)
    x = rng.uniform(0.2, canvas.width - 0.2)
    canvas.disc(x, horizon + 0.02, 0.2, (92, 160, 92), flat=0.5)
    for depth, colour in ((0.0, (36, 132, 198)), (0.16, (28, 112, 184)), (0.33, (22, 92, 166))):
        swell = 0.0 if depth == 0 else 0.018
        canvas.below(_hills(canvas, rng, horizon + depth, swell, 0.32), colour)


def _snow(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (156, 190, 226)), (0.6, (226, 236, 248))])
    horizon = rng.uniform(0.56, 0.62)
    for x in _places(canvas, rng, 2):
        height = rng.uniform(0.3, 0.4)
        canvas.triangle(x, horizon - height, 0.34, horizon + 0.1, (128, 146, 178))
        cap = horizon - height + 0.4 * (height + 0.1)
        canvas.triangle(x, horizon - height, 0.34 * 0.4, cap, (248, 250, 255))
    canvas.below(_hills(canvas, rng, horizon, 0.025, 1.2), (236, 242, 252))
    for x in _places(canvas, rng, 2):
        canvas.triangle(x, horizon - 0.12, 0.085, horizon + 0.12, (40, 104, 92))
    canvas.below(_hills(canvas, rng, horizon + 0.2, 0.03, 1.5), (216, 226, 244))


def _city(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (120, 92, 178)), (0.7, (252, 170, 160))])
    left = rng.uniform(-0.15, 0.0)
    while left < canvas.width:
        width, top = rng.uniform(0.18, 0.26), rng.uniform(0.2, 0.48)
        shade = rng.uniform(0.85, 1.1)
        canvas.box(left, top, left + width - 0.02, 0.86, (74 * shade, 66 * shade, 112 * shade))
        for y in np.arange(top + 0.06, 0.72, 0.17):
            for x in (left + 0.25 * width, left + 0.6 * width):
                canvas.box(x, y, x + 0.055, y + 0.08, (252, 220, 130))
        left += width
    canvas.box(0, 0.82, canvas.width, 1, (70, 68, 82))
    canvas.box(0, 0.9, canvas.width, 0.925, (226, 214, 160))


def _forest(canvas: Canvas, rng: np.random.Generator) -> None:
    canvas.gradient([(0, (206, 230, 190)), (0.7, (150, 196, 150))])
    for count, base, height, colour in ((5, 0.66, 0.5, (110, 166, 118)), (3, 0.82, 0.72, (44, 108, 66))):
        for x in _places(canvas, rng, count):
            tall = height * rng.uniform(0.85, 1.1)
            canvas.box(x - 0.02, base - 0.12, x + 0.02, base + 0.05, (94, 68, 46))
            for part in (0.0, 0.3):
                top = base - tall * (1 - part)
                canvas.triangle(x, top, 0.1 + 0.12 * part, base - 0.08 - 0.25 * tall * (0.3 - part), colour)
    canvas.below(_hills(canvas, rng, 0.82, 0.02, 1.0), (62, 98, 50))


_PAINTERS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "sky": _sky,
    "field": _field,
    "night": _night,
    "desert": _desert,
    "sea": _sea,
    "snow": _snow,
    "city": _city,
    "forest": _forest,
}
SETTINGS = tuple(_PAINTERS)
