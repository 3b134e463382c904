"""From a scene to the samples of its sound.

Levels are fixed, not fitted to a clip: a soft landing is softer than a hard one in any clip. An actor's
place in the frame pans it, with equal power.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moviegen_miniature.scene import Scene
from moviegen_miniature.sound.ambience import ambience
from moviegen_miniature.sound.effects import impact, voice
from moviegen_miniature.sound.events import Voice, events, voices
from moviegen_miniature.sound.music import mood_of, music
from moviegen_miniature.sound.synthesis import SMALLEST_RATE, Samples

RATE = 48_000
BEST, WORST = 9.5, 2.0
_EFFECT_PEAK = 0.6
_SOFTEST = 0.5  # of the loudest effect
AMBIENCE_LEVEL = 0.012  # root mean square: -38 dB
MUSIC_PEAK = 0.18
_CEILING = 0.9
_PAN_POINTS_A_SECOND = 50


@dataclass(frozen=True)
class Take:
    """A scene, and what of its sound the picture does not say.

    Args:
        scene: what is seen; its `words` also seed the sound.
        music: whether there is music, of the mood of the lead's motion.
        quality: of the recording, from `WORST` to `BEST`: how little it hisses.

    Raises:
        ValueError: a quality out of its range.
    """

    scene: Scene
    music: bool = False
    quality: float = 9.0

    def __post_init__(self) -> None:
        if not WORST <= self.quality <= BEST:
            raise ValueError(f"quality must be from {WORST} to {BEST}, not {self.quality!r}")


def soundtrack(take: Take, *, rate: int = RATE, channels: int = 1) -> NDArray[np.float32]:
    """The sound of a take: (channels, N), within [-0.9, 0.9], as long as the picture to the sample.

    A function of its arguments alone. Each event is at its time to within half a sample. Random parts, such
    as noise, differ between rates.

    Args:
        rate: samples a second, at least 16,000.
        channels: 1 or 2.

    Raises:
        ValueError: a rate or a number of channels that there is not.
    """
    if rate < SMALLEST_RATE:
        raise ValueError(f"rate must be at least {SMALLEST_RATE}, not {rate}")
    if channels not in (1, 2):
        raise ValueError(f"channels must be 1 or 2, not {channels}")
    scene = take.scene
    whole = np.zeros((channels, round(scene.seconds * rate)), np.float32)
    samples = whole.shape[1]
    for channel in range(channels):
        whole[channel] += AMBIENCE_LEVEL * ambience(scene.setting, _rng(scene, 0, channel), samples, rate)
        hiss = hiss_of(take.quality)
        whole[channel] += hiss * _rng(scene, 1, channel).standard_normal(samples, dtype=np.float32)
    for place, heard in enumerate(voices(scene)):
        _add_voice(whole, scene, heard, _rng(scene, 2, place), rate)
    for place, event in enumerate(events(scene)):
        if event.kind != "start":  # a voice begins with a call
            sound = impact(event.sound, _rng(scene, 3, place), rate) * level(event.strength)
            _add(whole, sound, event.seconds, rate, _gains(np.array([event.x]), channels))
    if take.music:
        whole += MUSIC_PEAK * music(mood_of(scene.lead.motion), _rng(scene, 4, 0), samples, rate)
    return within_range(whole)


def _rng(scene: Scene, part: int, place: int) -> np.random.Generator:
    """Each part has numbers of its own, so that music or another channel changes nothing else."""
    return np.random.default_rng([scene.words, 1, part, place])


def hiss_of(quality: float) -> float:
    """Root mean square of the hiss of a recording."""
    return float(10 ** (-(75 - 4 * (10 - quality)) / 20))


def level(strength: float) -> float:
    """Peak of an effect, by how hard it is, 0 to 1."""
    return _EFFECT_PEAK * (_SOFTEST + (1 - _SOFTEST) * strength)


def within_range(whole: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same sound, softer if it would leave the range."""
    peak = float(np.abs(whole).max(initial=0.0))
    return whole * np.float32(_CEILING / peak) if peak > _CEILING else whole


def _add_voice(
    whole: NDArray[np.float32], scene: Scene, heard: Voice, rng: np.random.Generator, rate: int
) -> None:
    begin = max(heard.begin, 0.0)
    samples = round(heard.end * rate) - round(begin * rate)
    called = heard.performer.timing is not None
    sound = voice(heard.sound, rng, rate, samples, called=called)
    points = np.linspace(begin, heard.end, max(2, math.ceil((heard.end - begin) * _PAN_POINTS_A_SECOND)))
    places = scene.seen(heard.performer, points)
    along = np.linspace(0, len(points) - 1, samples)
    near = np.interp(along, np.arange(len(points)), (places[:, 2] / 0.6).clip(0.5, 1.0))
    gains = _gains(places[:, 0], len(whole))
    spread = np.stack([np.interp(along, np.arange(len(points)), gain) for gain in gains])
    _add(whole, sound * near.astype(np.float32) * level(heard.strength), begin, rate, spread)


def _gains(x: NDArray[np.float64], channels: int) -> NDArray[np.float64]:
    """Of each channel for sounds at some places of the frame, 0 to 1: (channels, N)."""
    if channels == 1:
        return np.ones((1, len(x)))
    angle = x.clip(0, 1) * (np.pi / 2)
    return np.stack([np.cos(angle), np.sin(angle)])


def _add(
    whole: NDArray[np.float32], sound: Samples, seconds: float, rate: int, gains: NDArray[np.float64]
) -> None:
    first = round(seconds * rate)
    last = min(first + len(sound), whole.shape[1])
    if first < last:
        whole[:, first:last] += (gains * sound).astype(np.float32)[:, : last - first]
