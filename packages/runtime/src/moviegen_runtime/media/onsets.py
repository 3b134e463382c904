"""When something begins in a sound, and with what timbre.

The detector is a spectral flux: how much louder bands of the sound become within a few hundredths of a
second, on a logarithmic scale that has a floor, so that soft textures count for little. It reads no
frequency above 7,500 Hz, so it hears the same at any rate from 16,000 on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
"""Seconds, in order."""

HOP = 0.005
_WINDOW = 0.032
_LAG = 3  # hops over which loudness is compared
_BANDS = 24
_LOWEST, _HIGHEST = 40.0, 7_500.0
FLOOR = 0.03  # of amplitude in a band: what is softer counts for little
_THRESHOLD = 0.3
_ABOVE_USUAL = 3.0
_APART = 0.12  # seconds between two onsets
_AROUND = 0.5
_TIMBRE_SECONDS = 0.2

TIMBRE_BANDS = 21
"""M, bands in which a timbre is told: those of 24 that the window resolves."""


def onsets(samples: NDArray[np.float32], rate: int) -> Times:
    """When something begins, in seconds, in order.

    Args:
        samples: (C, N) within [-1, 1]; channels are averaged.
        rate: samples a second.

    Raises:
        ValueError: samples of another shape, or that are not finite.
    """
    flux = novelty(samples, rate)
    found: list[float] = []
    near, around = round(_APART / HOP), round(_AROUND / HOP)
    for place in np.argsort(-flux, kind="stable"):
        if flux[place] < _THRESHOLD:
            break
        usual = np.median(flux[max(0, place - around) : place + around + 1])
        lower, upper = max(0, place - near), place + near + 1
        if flux[place] >= _ABOVE_USUAL * usual and flux[place] >= flux[lower:upper].max():
            found.append(place * HOP)
    return np.array(sorted(found))


def novelty(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """How much louder the sound becomes around each hundredth of a second's half: (frames,)."""
    if samples.ndim != 2 or not np.isfinite(samples).all():
        raise ValueError(f"samples must be finite and of shape (C, N), not {samples.shape}")
    loud = np.log1p(bands(samples.mean(0, dtype=np.float64), rate) / FLOOR)
    rise = np.sqrt((np.maximum(loud[_LAG:] - loud[:-_LAG], 0) ** 2).mean(1))
    # What is louder than `_LAG` hops ago began in between.
    return np.concatenate([np.zeros(_LAG // 2 + 1), rise, np.zeros(_LAG - _LAG // 2 - 1)])


def timbre_after(samples: NDArray[np.float32], rate: int, times: Times) -> NDArray[np.float32]:
    """(N, M) loudness of bands of a sound (C, samples) in the fifth of a second after each of some times."""
    loud = np.log1p(bands(samples.mean(0, dtype=np.float64), rate) / FLOOR)
    first = np.minimum(np.rint(times / HOP).astype(int), len(loud) - 1)
    found = [loud[place : place + round(_TIMBRE_SECONDS / HOP)].mean(axis=0) for place in first]
    return np.asarray(found, dtype=np.float32).reshape(len(times), loud.shape[1])


def matched(heard: Times, true: Times, tolerance: float) -> NDArray[np.float64]:
    """Seconds that onsets come after the true ones, of a largest set of pairs that lie within a tolerance.

    Args:
        heard: in order.
        true: in order; walking both in order gives a largest matching, since all share one tolerance.
        tolerance: seconds.
    """
    errors, place = [], 0
    for moment in true:
        while place < len(heard) and heard[place] < moment - tolerance:
            place += 1
        if place < len(heard) and heard[place] <= moment + tolerance:
            errors.append(heard[place] - moment)
            place += 1
    return np.array(errors, dtype=np.float64)


def bands(sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Amplitude in each band, a window around each hop: (frames, `TIMBRE_BANDS`).

    0 in bands that lie above half the rate.
    """
    window = round(_WINDOW * rate)
    frames = int(len(sound) / rate / HOP) + 1
    padded = np.pad(sound, (window // 2, window))
    first = np.rint(np.arange(frames) * HOP * rate).astype(np.int64)
    taper = np.hanning(window)
    spectrum = np.abs(np.fft.rfft(padded[first[:, None] + np.arange(window)] * taper)) / taper.sum() * 2
    edges = np.geomspace(_LOWEST, _HIGHEST, _BANDS + 1)
    held = _inside(np.arange(spectrum.shape[1]) * (rate / window), edges)
    # The lowest bands are narrower than the window resolves, at any rate.
    resolved = _inside(np.arange(0, _HIGHEST, 1 / _WINDOW), edges).any(1)
    return np.asarray(np.sqrt(spectrum**2 @ held[resolved].T.astype(np.float64)))


def _inside(hertz: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which frequencies lie in which band: (bands, frequencies)."""
    return (hertz >= edges[:-1, None]) & (hertz < edges[1:, None])
