"""Foggy scenes: pictures and clips made of numbers alone, for experiments that need no download.

Ellipses and rectangles drift over stripes; then fog of one colour lies over the whole frame, so dense in some
scenes that a twenty-fourth of the contrast is left. The colour and the density are information about the
frame as a whole, and every position needs them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from moviegen_runtime.data.source import CaptionedClip

_THINNEST_CONTRAST = 1 / 24


@dataclass(frozen=True)
class FoggyScenes:
    """A source of clips by index; an index and a seed always give the same clip.

    Args:
        seed: which of the sets; no two share a scene.
        num_clips: clips in the set.
        side: rows and columns.
        frames: of a clip; 1: pictures.
        fog: False: the same scenes in clear air.
    """

    seed: int = 0
    num_clips: int = 100_000
    side: int = 128
    frames: int = 1
    fog: bool = True

    def __post_init__(self) -> None:
        if min(self.num_clips, self.side, self.frames) < 1 or self.seed < 0:
            raise ValueError("foggy scenes need a seed of 0 or more, and at least one clip, pixel and frame")

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, index: int) -> CaptionedClip:
        if not 0 <= index < self.num_clips:
            raise IndexError(f"there are {self.num_clips} scenes, not a number {index}")
        random = np.random.default_rng([self.seed, index])
        y, x = np.mgrid[: self.side, : self.side] / self.side
        waves = random.normal(0, 3, 2)
        stripes = 0.5 + 0.5 * np.sin(2 * np.pi * (waves[0] * x + waves[1] * y + random.random()))
        background = 0.5 * random.random(3) + 0.5 * stripes[..., None] * random.random(3)
        scene = np.tile(background, (self.frames, 1, 1, 1))
        for _ in range(int(random.integers(4, 9))):
            place, drift = random.random(2), random.normal(0, 0.02, 2)
            radius, colour, round_ = random.uniform(0.05, 0.25, 2), random.random(3), random.random() < 0.5
            for t, frame in enumerate(scene):
                centre = place + t * drift
                dy, dx = np.abs(y - centre[0]) / radius[0], np.abs(x - centre[1]) / radius[1]
                frame[(dy**2 + dx**2 if round_ else np.maximum(dy, dx)) < 1] = colour
        if self.fog:
            contrast = math.exp(random.uniform(math.log(_THINNEST_CONTRAST), 0))
            scene = (1 - contrast) * random.random(3) + contrast * scene
        return CaptionedClip((255 * scene).round().astype(np.uint8), 8.0, "shapes in fog")
