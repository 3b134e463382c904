"""Which landings can be seen on a track: what ought to be heard of a generated clip, which has no truth.

The judge finds the actor in each frame. Landings are all that is read from where it was: a video model
imitates the silent stage, on which nothing else happens at a moment.
"""

from __future__ import annotations

import numpy as np
from moviegen_runtime.media.onsets import Times
from numpy.typing import NDArray

_REACH = 0.125  # seconds on either side of a landing
_LEAST_FALL = 0.1  # heights of the frame that the actor comes down, and goes up again
_LEAST_CUSP = 0.06  # of these within `_REACH`: at the smooth bottom of a circle it is half as much


def landings(track: NDArray[np.floating], fps: float) -> Times:
    """When the actor lands, in seconds, in order, to a part of a frame.

    Args:
        track: (T, 3) centre x, y and size of the actor, in heights of the frame.
        fps: frames a second.

    Raises:
        ValueError: a track of another shape, or with values that are not finite.
    """
    if track.ndim != 2 or track.shape[1] != 3 or not np.isfinite(track).all():
        raise ValueError(f"track must be finite and of shape (T, 3), not {track.shape}")
    y = track[:, 1].astype(np.float64)
    reach = max(1, round(_REACH * fps))
    found = []
    for place in range(reach, len(y) - reach):
        near = y[place - reach : place + reach + 1]
        if near.argmax() != reach:
            continue
        before, after = y[place] - near[0], y[place] - near[-1]
        fall = min(y[place] - y[: place + 1].min(), y[place] - y[place:].min())
        if fall >= _LEAST_FALL and max(before, after) >= _LEAST_CUSP:
            # It comes down as fast as it goes up: the tip of a V through three points.
            found.append((place + reach * (before - after) / (2 * max(before, after))) / fps)
    return np.array(found)
