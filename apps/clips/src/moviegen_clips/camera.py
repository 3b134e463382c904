"""Pictures seen by a camera that moves: every frame is sampled once, at any fraction of a pixel.

Legend: T frames, C channels, H rows, W columns, S side of the square that is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """Where the middle of the view lies on the picture, frame by frame.

    Args:
        x, y: (T,) in pixels of the picture; 0 is its left or upper edge.
        scale: (T,) pixels of the picture to a pixel of the view.
        angle: (T,) by which the view is turned, in radians.
    """

    x: Floats
    y: Floats
    scale: Floats
    angle: Floats


def pyramid(picture: NDArray[np.uint8]) -> list[Tensor]:
    """A picture (H, W, C) and its halves, quarters, ..., each (1, C, h, w) float32, 0 to 255."""
    levels = [torch.from_numpy(np.array(picture, dtype=np.float32)).permute(2, 0, 1)[None]]
    while min(levels[-1].shape[2:]) >= 16:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def seen(levels: list[Tensor], path: Path, side: int, outside: str) -> Tensor:
    """What the camera sees of a picture: (T, C, S, S).

    Each view is taken from the level of the pyramid that comes nearest to its scale, so nothing aliases.

    Args:
        levels: of `pyramid`.
        side: S.
        outside: what lies beyond the picture: "zeros" or "reflection".
    """
    level = min(max(round(float(np.log2(np.median(path.scale)))), 0), len(levels) - 1)
    picture = levels[level]
    H, W = picture.shape[2:]
    x, y, scale, angle = (
        torch.from_numpy(values).float() for values in (path.x, path.y, path.scale, path.angle)
    )
    shrink = 0.5**level
    axis = torch.arange(side) + 0.5 - side / 2
    v, u = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = (f(angle).view(-1, 1, 1) * scale.view(-1, 1, 1) for f in (torch.cos, torch.sin))
    grid = torch.stack(
        [
            2 * shrink / W * (x.view(-1, 1, 1) + cos * u - sin * v) - 1,
            2 * shrink / H * (y.view(-1, 1, 1) + sin * u + cos * v) - 1,
        ],
        dim=-1,
    )
    pictures = picture.expand(len(path.x), -1, -1, -1)
    view: Tensor = F.grid_sample(pictures, grid, padding_mode=outside, align_corners=False)
    return view


def wander(random: np.random.Generator, frames: int, *, speed: float) -> Floats:
    """(T,) a smooth course from 0: standing, steady, speeding up or swinging; `speed` a frame at most."""
    time = np.arange(frames, dtype=np.float64)
    pace = random.uniform(-speed, speed)
    kind = random.integers(4)
    if kind == 0:
        return np.zeros(frames)
    if kind == 1:
        return pace * time
    if kind == 2:
        return pace * time**2 / (2 * frames)
    period = random.uniform(8, 40)
    turn = 2 * np.pi / period
    start = random.uniform(0, 2 * np.pi)
    swing: Floats = pace / turn * (np.sin(turn * time + start) - np.sin(start))
    return swing
