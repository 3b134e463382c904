"""When the motion in a picture changes, and how well a sound's onsets are in time with that.

Ours; the paper re-ranks by models of quality and alignment (section 6.1.3). Nothing here is trained. It
knows where in the frame something changes and how much, so it sees starts, stops, landings, collisions and
appearances before a camera that stands still; what a moving camera shows it sees badly.

Legend: F frames, H rows, W columns, K frames that a comparison lies apart, P pairs of frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moviegen_runtime.media.onsets import Times

_SIDE = 64  # rows of the grey picture in which changes are looked for
_APART = 1 / 12  # seconds that compared frames lie apart at least; in less, a slow motion changes too little
_STILL = 0.01  # root mean square change, of a range of 1, that is as good as none
_FULL_TURN = 1.0  # change of velocity, in heights a second, that counts half of the most
_USUAL_SECONDS = 2.0  # on either side, within which the largest change is the measure of all
_STEP = 0.01  # seconds between two values of the curves that are compared
_BLUR = 0.06  # seconds of standard deviation, or half of what compared frames lie apart


@dataclass(frozen=True)
class MotionChanges:
    """How much the motion in a film changes around moments.

    Args:
        moments: (P,) seconds, in order.
        strengths: (P,) 0 and more.
        apart: seconds that compared frames lie apart: a moment is known to half of that.
    """

    moments: Times
    strengths: NDArray[np.float64]
    apart: float


def motion_changes(frames: Iterable[tuple[float, NDArray[np.uint8]]]) -> MotionChanges:
    """Look for changes of motion; of each frame three numbers are kept.

    A pair of frames K apart shows how much changes (root mean square), and the middle of what changes. The
    strength of a pair is how much more it changes than the pair before it and than the pair after it, over
    the largest change near, and how much the velocity of the middle differs from before to after it.

    Args:
        frames: seconds since the beginning of the film, rising, and pictures (H, W, 3) uint8 of one size.
    """
    times: list[float] = []
    held: list[NDArray[np.float32]] = []
    sizes: list[float] = []
    middles: list[tuple[float, float]] = []
    lag = 0
    for time, picture in frames:
        times.append(time)
        held.append(_small(picture))
        if not lag and time - times[0] >= _APART - 1e-6:
            lag = len(times) - 1
        if lag and len(held) > lag:
            size, middle = _change(held.pop(0), held[-1])
            sizes.append(size)
            middles.append(middle)
    if not sizes:
        return MotionChanges(np.zeros(0), np.zeros(0), _APART)
    at = np.array(times)
    moments, apart = (at[:-lag] + at[lag:]) / 2, at[lag:] - at[:-lag]
    strengths = _strengths(np.array(sizes), np.array(middles), moments, lag)
    return MotionChanges(moments, strengths / lag, float(np.median(apart)))


def synchrony(changes: MotionChanges, onsets: Times, begin: float, end: float) -> float:
    """How well onsets are in time with changes of motion, from -1 to 1: the correlation of both over time,
    each moment blurred. 1 if nothing changes and nothing is heard, 0 if only one of both has anything.

    Args:
        onsets: seconds since the beginning of the film.
        begin, end: seconds of the film that count.

    Raises:
        ValueError: an end that is not behind the beginning.
    """
    if not begin < end:
        raise ValueError(f"what counts must end after it begins, not at {end:g} s after {begin:g} s")
    blur = max(_BLUR, changes.apart / 2)
    seen = _curve(changes.moments, changes.strengths, blur, begin, end)
    heard = _curve(onsets, np.ones(len(onsets)), blur, begin, end)
    if not seen.any() and not heard.any():
        return 1.0
    seen, heard = seen - seen.mean(), heard - heard.mean()
    scale = float(np.sqrt((seen @ seen) * (heard @ heard)))
    return float(seen @ heard) / scale if scale > 0 else 0.0


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


def _curve(
    moments: Times, strengths: NDArray[np.float64], blur: float, begin: float, end: float
) -> NDArray[np.float64]:
    """Bumps at moments, at even times from begin to end."""
    reach = 4 * blur
    near = (moments >= begin - reach) & (moments <= end + reach)
    times = np.arange(begin, end, _STEP)
    curve = np.zeros(len(times))
    for moment, strength in zip(moments[near], strengths[near], strict=True):
        first, last = np.searchsorted(times, (moment - reach, moment + reach))
        curve[first:last] += strength * np.exp(-0.5 * ((times[first:last] - moment) / blur) ** 2)
    return curve
