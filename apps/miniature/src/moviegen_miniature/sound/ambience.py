"""What each set sounds like when nothing happens: soft noise without a beginning.

Levels change slowly, over a second or more, so that no ambience is taken for an event.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from moviegen_miniature.sound.synthesis import Samples, noise, times, tone, wander


def ambience(setting: str, rng: np.random.Generator, samples: int, rate: int) -> Samples:
    """The ambience of a set: (samples,), of mean square near 1."""
    whole = _AMBIENCES[setting](rng, samples, rate)
    level = np.sqrt(float((whole**2).mean())) if samples else 1.0
    return np.asarray(whole / max(level, 1e-9), dtype=np.float32)


def _breeze(rng: np.random.Generator, samples: int, rate: int, low: float, high: float) -> Samples:
    return noise(rng, samples, rate, low, high) * (0.5 + wander(rng, samples, rate, 0.5))


def _sky(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _breeze(rng, samples, rate, 150, 700)


def _field(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _breeze(rng, samples, rate, 120, 500) + 0.6 * _breeze(rng, samples, rate, 2_500, 5_000)


def _night(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    singing = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(26, 32) * times(samples, rate))
    crickets = tone(rng.uniform(4_200, 4_700), samples, rate) * singing
    return np.asarray(crickets + 0.5 * _breeze(rng, samples, rate, 100, 400), dtype=np.float32)


def _desert(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _breeze(rng, samples, rate, 300, 500) + 0.5 * _breeze(rng, samples, rate, 900, 1_300)


def _sea(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    swell = 0.4 + 0.6 * np.sin(np.pi * (times(samples, rate) * rng.uniform(0.25, 0.35) + rng.random())) ** 2
    return np.asarray(noise(rng, samples, rate, 200, 5_000) * swell, dtype=np.float32)


def _snow(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _breeze(rng, samples, rate, 500, 800) + 0.7 * _breeze(rng, samples, rate, 3_000, 6_500)


def _city(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    traffic = noise(rng, samples, rate, 50, 160) + 0.5 * noise(rng, samples, rate, 300, 1_500)
    return np.asarray(traffic * (0.7 + 0.5 * wander(rng, samples, rate, 0.4)), dtype=np.float32)


def _forest(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _breeze(rng, samples, rate, 1_200, 4_000) + 0.4 * _breeze(rng, samples, rate, 100, 300)


_AMBIENCES: dict[str, Callable[[np.random.Generator, int, int], Samples]] = {
    "sky": _sky,
    "field": _field,
    "night": _night,
    "desert": _desert,
    "sea": _sea,
    "snow": _snow,
    "city": _city,
    "forest": _forest,
}
