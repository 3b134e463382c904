"""When the motion in a picture changes: cues for what may begin to sound.

Ours. Nothing here is trained. It knows where in the frame something changes and how much, so it sees starts,
stops, landings, collisions and appearances before a camera that stands still; what a moving camera shows it
sees badly.

Legend: F frames, H rows, W columns, K frames that a comparison lies apart, P pairs of frames.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moviegen_runtime.media.cues import Cues
from moviegen_runtime.media.onsets import Times

_SIDE = 64  # rows of the grey picture in which changes are looked for
_APART = 1 / 12  # seconds that compared frames lie apart at least; in less, a slow motion changes too little
_STILL = 0.01  # root mean square change, of a range of 1, that is as good as none
_FULL_TURN = 1.0  # change of velocity, in heights a second, that counts half of the most
_USUAL_SECONDS = 2.0  # on either side, within which the largest change is the measure of all


class MotionNotes:
    """What is noted of a film's motion while its frames go by: four numbers a frame.

    A pair of frames K apart shows how much changes (root mean square), and the middle of what changes. The
    strength of a pair is how much more it changes than the pair before it and than the pair after it, over
    the largest change near, and how much the velocity of the middle differs from before to after it.
    """

    def __init__(self) -> None:
        self._times, self._sizes = array("d"), array("d")
        self._rows, self._columns = array("d"), array("d")  # of the middles
        self._held: deque[NDArray[np.float32]] = deque()  # the last K frames
        self._lag = 0  # K; 0: not known yet

    def add(self, time: float, picture: NDArray[np.uint8]) -> None:
        """Note the next frame.

        Args:
            time: seconds since the beginning of the film, more than that of the frame before.
            picture: (H, W, 3), of one size throughout.
        """
        self._times.append(time)
        self._held.append(_small(picture))
        if not self._lag and time - self._times[0] >= _APART - 1e-6:
            self._lag = len(self._times) - 1
        if self._lag:
            size, (row, column) = _change(self._held.popleft(), self._held[-1])
            self._sizes.append(size)
            self._rows.append(row)
            self._columns.append(column)

    def changes(self) -> Cues:
        """When the motion of what was noted changes."""
        if not self._sizes:
            return Cues(np.zeros(0), np.zeros(0), _APART)
        at, lag = np.array(self._times), self._lag
        moments, apart = (at[:-lag] + at[lag:]) / 2, at[lag:] - at[:-lag]
        middles = np.stack((self._rows, self._columns), axis=1)
        strengths = _strengths(np.array(self._sizes), middles, moments, lag)
        return Cues(moments, strengths / lag, float(np.median(apart)))


def motion_changes(frames: Iterable[tuple[float, NDArray[np.uint8]]]) -> Cues:
    """When the motion of a film changes, of the times and pictures that `MotionNotes.add` takes."""
    notes = MotionNotes()
    for time, picture in frames:
        notes.add(time, picture)
    return notes.changes()


def _small(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey, 0 to 1, of few rows and of the same aspect."""
    height, width = picture.shape[:2]
    grey = Image.fromarray(picture).convert("L")
    if height > _SIDE:
        grey = grey.resize((max(1, round(width * _SIDE / height)), _SIDE), Image.Resampling.BOX)
    return np.asarray(grey, np.float32) / np.float32(255)


def _change(one: NDArray[np.float32], other: NDArray[np.float32]) -> tuple[float, tuple[float, float]]:
    """How much changes, and the middle of it: row and column, in heights."""
    square = np.square(other - one, dtype=np.float64)
    total = square.sum()
    rows, columns = square.sum(1), square.sum(0)
    middle = (rows @ np.arange(len(rows)), columns @ np.arange(len(columns)))
    scale = max(float(total), 1e-12) * len(rows)
    return float(np.sqrt(square.mean())), (float(middle[0]) / scale, float(middle[1]) / scale)


def _strengths(
    sizes: NDArray[np.float64], middles: NDArray[np.float64], moments: Times, lag: int
) -> NDArray[np.float64]:
    """(P,) of pairs, each beside the pairs `lag` before and after it; at the ends it is beside itself."""
    place = np.arange(len(sizes))
    before, after = np.maximum(place - lag, 0), np.minimum(place + lag, len(sizes) - 1)
    rise = np.maximum(sizes - sizes[before], 0) + np.maximum(sizes - sizes[after], 0)
    sure = sizes**2 / (sizes**2 + _STILL**2)
    span = np.maximum(moments[after] - moments, 1e-9)
    # (P, 2) heights a second, from each pair to the one after it; none where nothing moves.
    velocity = (middles[after] - middles) / span[:, None] * (sure * sure[after])[:, None]
    turn = np.linalg.norm(velocity - velocity[before], axis=1)
    turn[(before == place) | (after == place)] = 0.0
    return np.asarray(rise / (_largest(sizes, moments) + _STILL) + turn / (turn + _FULL_TURN))


def _largest(sizes: NDArray[np.float64], moments: Times) -> NDArray[np.float64]:
    """(P,) the largest value within a time of each moment."""
    first = np.searchsorted(moments, moments - _USUAL_SECONDS)
    last = np.searchsorted(moments, moments + _USUAL_SECONDS, side="right")
    return np.array([sizes[a:b].max() for a, b in zip(first, last, strict=True)])
