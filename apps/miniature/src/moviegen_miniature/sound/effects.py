"""The sounds of events and of motion, each a class of its own.

Impacts begin with their hardest millisecond, so that the moment is plain. A voice begins with a call and
goes on softly: within it nothing begins anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from moviegen_miniature.sound.synthesis import Samples, at_peak, decay, noise, times, tone, wander

_IMPACT_SECONDS = 0.6
_FADE_SECONDS = 0.04
_CALL_SECONDS = 0.18  # in which the call falls by 1/e towards the level of what follows
_LOUDNESS = 0.42  # root mean square
_FIRST_GRAINS = 5
_SUSTAINED = 0.22  # that level, against the call's

Impact = Callable[[np.random.Generator, int, int], Samples]


def impact(sound: str, rng: np.random.Generator, rate: int) -> Samples:
    """One hit, of peak 1: (N,), silent at its end."""
    samples = round(_IMPACT_SECONDS * rate)
    whole = at_peak(_IMPACTS[sound](rng, samples, rate))
    fade = round(_FADE_SECONDS * rate)
    whole[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return whole


def voice(sound: str, rng: np.random.Generator, rate: int, samples: int, *, called: bool) -> Samples:
    """A sound that lasts: (samples,), as loud as a tone of amplitude 0.6 as it begins.

    Args:
        called: whether it begins with a call; if not it is softly there from the first sample on.
    """
    whole = _TEXTURES[sound](rng, samples, rate)
    whole *= np.float32(_LOUDNESS / max(float(np.sqrt((whole**2).mean())), 1e-9))
    t = times(samples, rate)
    level = np.full(samples, _SUSTAINED, np.float32)
    if called:
        level += np.float32(1 - _SUSTAINED) * np.exp(-t / _CALL_SECONDS)
        level *= np.minimum(t / 0.003, 1)
    fade = min(round(_FADE_SECONDS * rate), samples)
    level[samples - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return whole * level


def _click(rng: np.random.Generator, samples: int, rate: int, low: float, high: float) -> Samples:
    return noise(rng, samples, rate, low, high) * decay(samples, rate, 0.006, 0.0005)


def _thud(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    pitch = rng.uniform(60, 80) * (1 + 1.2 * np.exp(-times(samples, rate) / 0.03))
    body = tone(pitch, samples, rate, (1.0, 0.3)) * decay(samples, rate, 0.09)
    return body + 0.25 * _click(rng, samples, rate, 100, 900)


def _knock(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    pitch = rng.uniform(380, 480)
    body = tone(pitch, samples, rate) + 0.7 * tone(pitch * 2.4, samples, rate)
    return body * decay(samples, rate, 0.03) + 0.2 * _click(rng, samples, rate, 800, 3_000)


def _clang(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    pitch, whole = rng.uniform(520, 640), np.zeros(samples, np.float32)
    for place, ratio in enumerate((1.0, 1.51, 2.27, 3.02, 4.13, 5.43)):
        ringing = decay(samples, rate, 0.22 / (1 + 0.4 * place), 0.001)
        whole += tone(pitch * ratio, samples, rate) * ringing * np.float32(rng.uniform(0.6, 1.0))
    return whole + 0.5 * _click(rng, samples, rate, 1_500, 7_000)


def _boing(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    t = times(samples, rate)
    swing = np.exp(-t / 0.2) * np.sin(2 * np.pi * rng.uniform(11, 14) * t)
    pitch = rng.uniform(190, 240) * (1 + 0.45 * swing)
    return tone(pitch, samples, rate, (1.0, 0.6, 0.4, 0.3, 0.2)) * decay(samples, rate, 0.2)


def _squeal(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    t = times(samples, rate)
    pitch = rng.uniform(1_900, 2_300) * (1 - 0.5 * t) * (1 + 0.012 * np.sin(2 * np.pi * 31 * t))
    rough = 0.7 + 0.3 * wander(rng, samples, rate, 40)
    return tone(pitch, samples, rate, (1.0, 0.5, 0.25)) * rough * decay(samples, rate, 0.13)


def _scuff(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return noise(rng, samples, rate, 900, 3_500) * decay(samples, rate, 0.06)


def _crash(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    burst = noise(rng, samples, rate, 120, 6_500) * decay(samples, rate, 0.14, 0.001)
    whole = burst + 0.8 * _thud(rng, samples, rate) + 0.35 * _clang(rng, samples, rate)
    return np.asarray(whole, dtype=np.float32)


def _chime(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    pitch, whole = rng.uniform(820, 940), np.zeros(samples, np.float32)
    for ratio in (1.0, 1.25, 1.5, 2.0):
        bell = tone(pitch * ratio, samples, rate) + 0.4 * tone(pitch * ratio * 2.76, samples, rate)
        whole += bell * decay(samples, rate, 0.3 / ratio)
    return whole


def _engine(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    pitch = rng.uniform(75, 100) * (1 + 0.04 * wander(rng, samples, rate, 2))
    strokes = 1 + 0.25 * np.sin(2 * np.pi * rng.uniform(24, 30) * times(samples, rate))
    motor = tone(pitch, samples, rate, tuple(1 / number for number in range(1, 16)))
    return np.asarray((motor + 0.3 * noise(rng, samples, rate, 80, 700)) * strokes, dtype=np.float32)


def _hum(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    vibrato = 1 + 0.03 * np.sin(2 * np.pi * 6 * times(samples, rate))
    return tone(rng.uniform(330, 420) * vibrato, samples, rate, (1.0, 0.35, 0.12))


def _growl(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    t = times(samples, rate)
    pitch = rng.uniform(125, 160) * (0.8 + 0.4 * np.exp(-t / 0.3))
    rough = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(33, 38) * t)
    throat = tone(pitch, samples, rate, (0.5, 0.8, 1.0, 0.8, 0.5, 0.3))
    return np.asarray((throat + 0.5 * noise(rng, samples, rate, 250, 1_100)) * rough, dtype=np.float32)


def _chirp(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    t = times(samples, rate)
    trill = np.cos(2 * np.pi * rng.uniform(17, 20) * t)
    pitch = rng.uniform(2_900, 3_300) * (1 + 0.16 * trill)
    return np.asarray(tone(pitch, samples, rate) * (0.75 + 0.25 * trill), dtype=np.float32)


def _buzz(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    pitch = rng.uniform(210, 245) * (1 + 0.05 * wander(rng, samples, rate, 4))
    return tone(pitch, samples, rate, tuple(0.9**number for number in range(24)))


def _bubbles(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _grains(rng, samples, rate, count=100, low=500, high=1_300, rise=1.5, seconds=0.07)


def _twinkle(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return _grains(rng, samples, rate, count=80, low=3_500, high=6_500, rise=1.0, seconds=0.1)


def _rumble(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    rolling = 1 + 0.25 * np.sin(2 * np.pi * rng.uniform(5, 7) * times(samples, rate))
    return np.asarray(noise(rng, samples, rate, 70, 380) * rolling, dtype=np.float32)


def _rustle(rng: np.random.Generator, samples: int, rate: int) -> Samples:
    return noise(rng, samples, rate, 2_800, 6_500) * (0.6 + 0.4 * wander(rng, samples, rate, 9))


def _grains(
    rng: np.random.Generator,
    samples: int,
    rate: int,
    *,
    count: int,
    low: float,
    high: float,
    rise: float,
    seconds: float,
) -> Samples:
    """Many short tones, `count` a second, each swelling and fading over `seconds` as its pitch rises.

    A few of them are there from the first sample on, so that a call begins at once.
    """
    length = round(seconds * rate)
    whole = np.zeros(samples + 2 * length, np.float32)
    swell = np.hanning(length).astype(np.float32)
    for number in range(_FIRST_GRAINS + round(count * (samples + length) / rate)):
        first = int(
            rng.integers(length // 2, length) if number < _FIRST_GRAINS else rng.integers(samples + length)
        )
        pitch = rng.uniform(low, high / rise) * np.linspace(1, rise, length)
        whole[first : first + length] += tone(pitch, length, rate) * swell
    return whole[length : length + samples]


_IMPACTS: dict[str, Impact] = {
    "thud": _thud,
    "knock": _knock,
    "clang": _clang,
    "boing": _boing,
    "squeal": _squeal,
    "scuff": _scuff,
    "crash": _crash,
    "chime": _chime,
}
_TEXTURES: dict[str, Impact] = {
    "engine": _engine,
    "hum": _hum,
    "growl": _growl,
    "chirp": _chirp,
    "buzz": _buzz,
    "bubbles": _bubbles,
    "twinkle": _twinkle,
    "rumble": _rumble,
    "rustle": _rustle,
}
