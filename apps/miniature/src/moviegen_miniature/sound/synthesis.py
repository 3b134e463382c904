"""The few ingredients that every sound of the stage is made of: tones, noise, and curves over time.

All sounds are made here, in numpy: no recording is used, so nothing of another's enters the training data.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Samples = NDArray[np.float32]

HIGHEST = 7_500.0  # Hz: nothing lies above, so that a rate of 16,000 holds every sound
SMALLEST_RATE = 16_000


def times(samples: int, rate: int) -> Samples:
    """Seconds of each sample: (samples,)."""
    return np.arange(samples, dtype=np.float32) / np.float32(rate)


def tone(hertz: ArrayLike, samples: int, rate: int, overtones: tuple[float, ...] = (1.0,)) -> Samples:
    """Sines of a frequency and its multiples, each with its amplitude: (samples,).

    Args:
        hertz: the frequency: one number, or one a sample.
    """
    pitch = np.broadcast_to(np.asarray(hertz, dtype=np.float64), samples)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    highest = float(pitch.max()) if samples else 0.0
    whole = np.zeros(samples)
    for number, amplitude in enumerate(overtones, start=1):
        if number * highest < HIGHEST:
            whole += amplitude * np.sin(number * phase)
    return np.asarray(whole, dtype=np.float32)


def noise(rng: np.random.Generator, samples: int, rate: int, low: float, high: float) -> Samples:
    """Noise between two frequencies, of mean square 1: (samples,).

    Its edges fall off smoothly over a third of an octave, and its spectrum as 1 / sqrt(f): pink.
    """
    if not samples:
        return np.zeros(0, np.float32)
    spectrum = np.fft.rfft(rng.standard_normal(samples, dtype=np.float32))
    octaves = np.log2(np.fft.rfftfreq(samples, 1 / rate).clip(1e-3))
    gate = 1 / (1 + np.exp(-12 * (octaves - math.log2(low)))) / (1 + np.exp(12 * (octaves - math.log2(high))))
    shaped = np.fft.irfft(spectrum * gate * 2 ** (-octaves / 2), samples)
    level = math.sqrt(float((shaped**2).mean()))
    return np.asarray(shaped / max(level, 1e-12), dtype=np.float32)


def wander(rng: np.random.Generator, samples: int, rate: int, hertz: float) -> Samples:
    """A slow random curve from 0 to 1 with about `hertz` turns a second: (samples,)."""
    knots = rng.random(int(samples / rate * hertz * 2) + 3)
    places = np.arange(samples) * (hertz * 2 / rate) + rng.random()
    left = places.astype(np.int64)
    blend = 0.5 - 0.5 * np.cos(np.pi * (places - left))
    return np.asarray(knots[left] * (1 - blend) + knots[left + 1] * blend, dtype=np.float32)


def decay(samples: int, rate: int, seconds: float, attack: float = 0.002) -> Samples:
    """A curve that rises to 1 in `attack` seconds and falls by 1/e every `seconds`: (samples,)."""
    t = times(samples, rate)
    return np.asarray(np.minimum(t / attack, 1) * np.exp(-t / seconds), dtype=np.float32)


def at_peak(sound: Samples, peak: float = 1.0) -> Samples:
    """The same sound, its largest value at `peak`."""
    return np.asarray(sound * (peak / max(float(np.abs(sound).max(initial=0.0)), 1e-9)), dtype=np.float32)
