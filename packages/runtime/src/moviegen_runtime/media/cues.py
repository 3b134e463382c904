"""When it is seen that something may begin to sound, and how well a sound goes with that.

Ours; the paper re-ranks by models of quality and alignment (section 6.1.3). Cues come from whatever sees: the
motion in a picture (`motion`), or a network that foresees sounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moviegen_runtime.media.onsets import Times, onsets, timbre_after

_STEP = 0.01  # seconds between two values of the curves that are compared
_BLUR = 0.06  # seconds of standard deviation, or half of what is not known of a cue's moment
_TIMBRE_WEIGHT = 3.0
_NEAR = 0.1  # seconds from an onset to the cue that tells its timbre


@dataclass(frozen=True)
class Cues:
    """How strongly something is seen that may begin to sound, around moments.

    Args:
        moments: (P,) seconds, in order.
        strengths: (P,) 0 and more.
        apart: seconds between the pictures that were compared: a moment is known to half of that.
        timbres: (P, M) loudness of bands of what would begin, as `timbre_after` has it; None: it is not seen.
    """

    moments: Times
    strengths: NDArray[np.float64]
    apart: float
    timbres: NDArray[np.float32] | None = None


def joined(parts: Sequence[Cues]) -> Cues:
    """The cues of a film from those of its parts, in order; all or none of them have timbres."""
    timbres = [part.timbres for part in parts if part.timbres is not None]
    return Cues(
        np.concatenate([part.moments for part in parts]),
        np.concatenate([part.strengths for part in parts]),
        parts[0].apart,
        np.concatenate(timbres) if timbres else None,
    )


def synchrony(cues: Cues, onsets: Times, begin: float, end: float) -> float:
    """How well onsets are in time with cues, from -1 to 1: the correlation of both over time, each moment
    blurred. 1 if nothing is seen and nothing is heard, 0 if only one of both has anything.

    Args:
        onsets: seconds since the beginning of the film.
        begin, end: seconds of the film that count.

    Raises:
        ValueError: an end that is not behind the beginning.
    """
    if not begin < end:
        raise ValueError(f"what counts must end after it begins, not at {end:g} s after {begin:g} s")
    blur = max(_BLUR, cues.apart / 2)
    seen = _curve(cues.moments, cues.strengths, blur, begin, end)
    heard = _curve(onsets, np.ones(len(onsets)), blur, begin, end)
    if not seen.any() and not heard.any():
        return 1.0
    seen, heard = seen - seen.mean(), heard - heard.mean()
    scale = float(np.sqrt((seen @ seen) * (heard @ heard)))
    return float(seen @ heard) / scale if scale > 0 else 0.0


def timbre_error(cues: Cues, onsets: Times, timbres: NDArray[np.float32]) -> float:
    """How far timbres that are heard are from those that are seen: the mean squared difference of bands.

    0 where none is seen.

    Args:
        onsets: seconds since the beginning of the film; those without a cue within 0.1 s do not count.
        timbres: (N, M) heard after each.
    """
    if cues.timbres is None:
        return 0.0
    errors = []
    for onset, heard in zip(onsets, timbres, strict=True):
        first, last = np.searchsorted(cues.moments, (onset - _NEAR, onset + _NEAR))
        if first < last:
            strongest = first + int(cues.strengths[first:last].argmax())
            errors.append(float(np.square(heard - cues.timbres[strongest]).mean()))
    return float(np.mean(errors)) if errors else 0.0


def fitness(cues: Cues, samples: NDArray[np.float32], rate: int, *, begin: float = 0.0) -> float:
    """How well a sound goes with a part of the film, from -1 to 1.

    It is the sound's `synchrony`, and where timbres are seen, exp(-3 `timbre_error`) of it: what is in time
    at all stays above silence.

    Args:
        samples: (C, N) within [-1, 1].
        rate: samples a second.
        begin: seconds of the film at which the sound begins.
    """
    heard = onsets(samples, rate)
    in_time = synchrony(cues, begin + heard, begin, begin + samples.shape[1] / rate)
    if cues.timbres is None or in_time <= 0:
        return in_time
    error = timbre_error(cues, begin + heard, timbre_after(samples, rate, heard))
    return in_time * math.exp(-_TIMBRE_WEIGHT * error)


def _curve(
    moments: Times, strengths: NDArray[np.float64], blur: float, begin: float, end: float
) -> NDArray[np.float64]:
    """Bumps at moments, at even times from begin to end."""
    reach = 4 * blur
    near = slice(*np.searchsorted(moments, (begin - reach, end + reach)))
    times = np.arange(begin, end, _STEP)
    curve = np.zeros(len(times))
    for moment, strength in zip(moments[near], strengths[near], strict=True):
        first, last = np.searchsorted(times, (moment - reach, moment + reach))
        curve[first:last] += strength * np.exp(-0.5 * ((times[first:last] - moment) / blur) ** 2)
    return curve
