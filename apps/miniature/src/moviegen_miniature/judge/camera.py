"""The camera's movement, read from a clip: which pan leaves the set most at rest.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.scene import camera_path

_PANS = (0, -1, 1)
_BOX = 1.1  # of the actor's size: what is left out of the set

Floats = NDArray[np.float32]


def found_pan(grey_THW: Floats, track_T3: Floats) -> int:
    """-1, 0 or +1: the camera moves to the left, not at all, or to the right.

    Args:
        grey_THW: the clip in grey.
        track_T3: centre x, y and size of the actor in the frame, in heights; what it covers is not looked at.
    """
    frames, height, width = grey_THW.shape
    across = np.abs((np.arange(width) + 0.5) / height - track_T3[:, :1]) <= _BOX / 2 * track_T3[:, 2:]
    down = np.abs((np.arange(height) + 0.5) / height - track_T3[:, 1:2]) <= _BOX / 2 * track_T3[:, 2:]
    seen_THW = ~(down[:, :, None] & across[:, None])
    return min(_PANS, key=lambda pan: _unrest(grey_THW, seen_THW, camera_path(pan, frames, width)))


def _unrest(grey_THW: Floats, seen_THW: NDArray[np.bool_], camera: NDArray[np.int64]) -> float:
    """Mean variance over time of the set's points, each frame put where the camera looked."""
    frames, height, width = grey_THW.shape
    start = camera - camera.min()
    shape = (frames, height, width + int(start.max()))
    values, weights = np.zeros(shape), np.zeros(shape)
    for frame, left in enumerate(start):
        values[frame, :, left : left + width] = grey_THW[frame]
        weights[frame, :, left : left + width] = seen_THW[frame]
    mean = (weights * values).sum(0) / weights.sum(0).clip(min=1)
    return float((weights * np.square(values - mean)).sum() / max(weights.sum(), 1.0))
