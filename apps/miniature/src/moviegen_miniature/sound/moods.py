"""The mood judge: whether there is music in a soundtrack, and which of the stage's moods it has.

A linear classifier on a clip's bands: how loud they are, how much they change, and how strongly they swing at
the rates at which notes follow each other. It is fitted by ridge regression to true soundtracks when it is
made, in half a minute: it has no weights to ship. For that, moods are drawn apart from motions: it is to hear
the music, not the sounds that go with a motion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from moviegen_runtime.media.onsets import FLOOR, HOP, bands
from numpy.typing import NDArray

from moviegen_miniature.sound.casting import take_at
from moviegen_miniature.sound.classes import fit_classes
from moviegen_miniature.sound.music import MOODS, Mood, music
from moviegen_miniature.sound.soundtrack import MUSIC_PEAK, Take, soundtrack, within_range
from moviegen_miniature.sound.synthesis import SMALLEST_RATE

NONE = "none"
NAMES = (NONE, *(mood.name for mood in MOODS))
"""What is told: no music, or the mood of it."""
_RHYTHMS = np.arange(0.5, 9.25, 0.25)  # Hz
_SOFT_SHARE = 0.1
_CHANGE_SCALE = 10.0  # brings changes to the size of loudness
_RIDGE = 1.0
_SEED = 2_000_000  # of takes that no other part of the stage uses


@dataclass(frozen=True)
class MoodJudge:
    """Tells the stage's music apart, in clips as long as those that it was fitted to.

    Args:
        weights: (features, moods), in the order of `NAMES`.
    """

    weights: NDArray[np.float64]

    def heard(self, samples: NDArray[np.float32], rate: int) -> str:
        """One of `NAMES`, for samples (C, N) within [-1, 1]."""
        return NAMES[int((_features(samples, rate) @ self.weights).argmax())]


def fit_mood_judge(num_takes: int = 1000, *, seconds: float = 4.0, seed: int = _SEED) -> MoodJudge:
    """Fit a judge to true soundtracks of the training split.

    Args:
        num_takes: how many.
        seconds: length of each.
        seed: of the takes; the default is one that no other part of the stage uses.
    """
    rng = np.random.default_rng(seed)
    features, moods = [], []
    for index in range(num_takes):
        take = take_at(index, split="train", seed=seed, seconds=seconds, fps_choices=(8.0,))
        place = int(rng.integers(len(NAMES)))
        features.append(_features(with_mood(take, MOODS[place - 1] if place else None, rng), SMALLEST_RATE))
        moods.append(place)
    return MoodJudge(fit_classes(np.array(features), np.array(moods), len(NAMES), _RIDGE))


def with_mood(
    take: Take, mood: Mood | None, rng: np.random.Generator, rate: int = SMALLEST_RATE
) -> NDArray[np.float32]:
    """The soundtrack (1, N) of a take, its music replaced by that of a mood, or left out."""
    whole = soundtrack(replace(take, music=False), rate=rate)
    if mood is not None:
        whole = whole + MUSIC_PEAK * music(mood, rng, whole.shape[1], rate)
    return within_range(whole)


def _features(samples: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    loud = np.log1p(bands(samples.mean(0, dtype=np.float64), rate) / FLOOR)
    moving = (loud - loud.mean(0)) * np.hanning(len(loud))[:, None]
    swing, hertz = np.abs(np.fft.rfft(moving, axis=0)) / len(loud), np.fft.rfftfreq(len(loud), HOP)
    rhythms = [np.interp(_RHYTHMS, hertz, band) for band in swing.T]
    changes = [np.abs(np.diff(loud, axis=0)).mean(0), *rhythms]
    parts = [
        loud.mean(0),
        np.quantile(loud, _SOFT_SHARE, axis=0),
        *(_CHANGE_SCALE * part for part in changes),
    ]
    values = np.concatenate(parts)
    return np.concatenate([values, values**2, [1.0]])
