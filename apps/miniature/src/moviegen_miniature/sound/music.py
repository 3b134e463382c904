"""Music of a mood: chords that follow each other, and a pattern of notes over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moviegen_miniature.sound.synthesis import Samples, at_peak, decay, tone

_MAJOR, _MINOR = (0, 4, 7, 12), (0, 3, 7, 12)
_FADE_SECONDS = 0.5


@dataclass(frozen=True)
class Mood:
    """What the music is like.

    Args:
        name: one word for it.
        words: how a caption says it.
        beats: a minute.
        chords: roots in semitones above the key, one chord for two beats.
        minor: minor chords, not major ones.
        pattern: which notes of the chord are plucked in each half of a beat; -1: none.
        pads: whether the chords sound throughout.
    """

    name: str
    words: tuple[str, ...]
    beats: float
    chords: tuple[int, ...]
    minor: bool
    pattern: tuple[int, ...]
    pads: bool


_CALM = Mood(
    "calm",
    ("calm music on a soft pad", "quiet, slow chords"),
    beats=66,
    chords=(0, 5, 0, 7),
    minor=False,
    pattern=(-1,),
    pads=True,
)
_LIVELY = Mood(
    "lively",
    ("lively music with quick plucked notes", "a fast, cheerful pattern of plucked notes"),
    beats=132,
    chords=(0, 7, 5, 7),
    minor=False,
    pattern=(0, 2, 1, 3),
    pads=True,
)
_PLAYFUL = Mood(
    "playful",
    ("playful, hopping music", "short playful notes"),
    beats=116,
    chords=(0, 5, 7, 0),
    minor=False,
    pattern=(0, -1, 2, 3),
    pads=False,
)
_TENSE = Mood(
    "tense",
    ("dark, tense music", "a tense pattern in a minor key"),
    beats=100,
    chords=(0, 1, 0, -2),
    minor=True,
    pattern=(0, 0, 2, 0),
    pads=True,
)
_DREAMY = Mood(
    "dreamy",
    ("dreamy music that turns round and round", "a gentle waltz"),
    beats=90,
    chords=(0, 9, 5, 7),
    minor=False,
    pattern=(0, 1, 2),
    pads=True,
)
MOODS = (_CALM, _LIVELY, _PLAYFUL, _TENSE, _DREAMY)
_MOOD_OF = {
    "still": _CALM,
    "left": _LIVELY,
    "right": _LIVELY,
    "up": _LIVELY,
    "down": _CALM,
    "grows": _TENSE,
    "shrinks": _CALM,
    "bounces": _PLAYFUL,
    "diagonal": _LIVELY,
    "circles": _DREAMY,
}


def mood_of(motion: str) -> Mood:
    """The mood that goes with a motion of the lead."""
    return _MOOD_OF[motion]


def music(mood: Mood, rng: np.random.Generator, samples: int, rate: int) -> Samples:
    """A piece of music: (samples,), of peak 1, faded in and out."""
    key = 165 * 2 ** (rng.integers(12) / 12)
    beat = 60 / mood.beats * rng.uniform(0.95, 1.05)
    whole = np.zeros(samples, np.float32)
    if mood.pads:
        for bar in range(int(samples / rate / (2 * beat)) + 1):
            chord = _chord(mood, key, bar)
            _add(whole, _pad(chord, round(2 * beat * rate), rate), round(2 * beat * bar * rate))
    for place in range(int(samples / rate / (beat / 2)) + 1):
        note = mood.pattern[place % len(mood.pattern)]
        if note >= 0:
            pitch = 2 * _chord(mood, key, place // 4)[note]
            _add(whole, _pluck(pitch, round(0.6 * rate), rate), round(place * beat / 2 * rate))
    fade = min(round(_FADE_SECONDS * rate), samples // 2)
    if fade:
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        whole[:fade] *= ramp
        whole[-fade:] *= ramp[::-1]
    return at_peak(whole)


def _chord(mood: Mood, key: float, bar: int) -> list[float]:
    root = mood.chords[bar % len(mood.chords)]
    return [key * 2 ** ((root + step) / 12) for step in (_MINOR if mood.minor else _MAJOR)]


def _pad(chord: list[float], samples: int, rate: int) -> Samples:
    rise = min(round(0.25 * rate), samples // 2)
    level = np.ones(samples, np.float32)
    level[:rise] = np.linspace(0, 1, rise)
    level[samples - rise :] = np.linspace(1, 0, rise)
    whole = np.zeros(samples, np.float32)
    for pitch in chord[:3]:
        whole += tone(pitch, samples, rate, (1.0, 0.4, 0.15))
    return 0.25 * whole * level


def _pluck(pitch: float, samples: int, rate: int) -> Samples:
    return 0.6 * tone(pitch, samples, rate, (1.0, 0.5, 0.25, 0.12)) * decay(samples, rate, 0.18, 0.004)


def _add(whole: Samples, part: Samples, first: int) -> None:
    last = min(first + len(part), len(whole))
    if first < last:
        whole[first:last] += part[: last - first]
