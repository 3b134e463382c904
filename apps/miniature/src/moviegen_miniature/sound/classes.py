"""The class judge: which sound is heard at a moment, among all that the stage's events make.

A linear classifier on how loud each band is over the half second that follows, fitted by ridge regression to
true soundtracks when it is made, in seconds: it has no weights to ship. It hears the same at any rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from moviegen_runtime.media.onsets import FLOOR, HOP, Times, bands
from numpy.typing import NDArray

from moviegen_miniature.sound.casting import take_at
from moviegen_miniature.sound.events import SOUNDS, events
from moviegen_miniature.sound.soundtrack import soundtrack
from moviegen_miniature.sound.synthesis import SMALLEST_RATE

_SLOTS = (-8, -2, 1, 3, 6, 10, 16, 26, 42, 70)  # hops from the moment on, between which loudness is averaged
_RIDGE = 3.0
_SECONDS = 3.0


@dataclass(frozen=True)
class ClassJudge:
    """Tells the stage's sounds apart.

    Args:
        weights: (features + 1, classes), in the order of `SOUNDS`.
    """

    weights: NDArray[np.float64]

    def heard(self, samples: NDArray[np.float32], rate: int, moments: Sequence[float] | Times) -> list[str]:
        """Which sound begins at each moment.

        Args:
            samples: (C, N) within [-1, 1].
            rate: samples a second.
            moments: seconds.
        """
        scores = _features(samples, rate, moments) @ self.weights
        return [SOUNDS[place] for place in scores.argmax(1)]


def fit_class_judge(num_takes: int = 1000, *, seed: int = 1_000_000) -> ClassJudge:
    """Fit a judge to true soundtracks of the training split, with and without music.

    Args:
        num_takes: how many.
        seed: of the takes; the default is one that no other part of the stage uses.
    """
    return ClassJudge(fit_classes(*_examples(num_takes, seed), len(SOUNDS), _RIDGE))


def fit_classes(
    features: NDArray[np.float64], classes: NDArray[np.int64], count: int, ridge: float
) -> NDArray[np.float64]:
    """Ridge regression of which class each example is of; rare ones count as much as common ones.

    Args:
        features: (examples, features).
        classes: (examples,), each from 0 to `count` - 1.

    Returns:
        (features, count): the largest of an example's features times these is its class.
    """
    wanted = np.zeros((len(classes), count))
    wanted[np.arange(len(classes)), classes] = 1
    weight = 1 / np.maximum(wanted.sum(0), 1)[classes]
    weighted = features * weight[:, None] * len(classes) / count
    damped = weighted.T @ features + ridge * np.eye(features.shape[1])
    weights: NDArray[np.float64] = np.linalg.solve(damped, weighted.T @ wanted)
    return weights


def _examples(num_takes: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    features: list[NDArray[np.float64]] = []
    classes: list[int] = []
    rng = np.random.default_rng(seed)
    for index in range(num_takes):
        take = take_at(index, split="train", seed=seed, seconds=_SECONDS, fps_choices=(8.0,))
        found = events(take.scene)
        if found:
            # Onsets that are heard stand a little off.
            moments = [event.seconds + rng.uniform(-0.01, 0.01) for event in found]
            features.append(_features(soundtrack(take, rate=SMALLEST_RATE), SMALLEST_RATE, moments))
            classes += [SOUNDS.index(event.sound) for event in found]
    return np.concatenate(features), np.array(classes)


def _features(samples: NDArray[np.float32], rate: int, moments: Iterable[float]) -> NDArray[np.float64]:
    """(moments, features): loudness of each band in each slot, its square, and a one."""
    loud = np.log1p(bands(samples.mean(0, dtype=np.float64), rate) / FLOOR)
    before, after = -_SLOTS[0], _SLOTS[-1]
    padded = np.pad(loud, ((before, after + 1), (0, 0)))
    rows = []
    for moment in moments:
        first = min(max(round(moment / HOP), 0), len(loud) - 1) + before
        slots = [padded[first + a : first + b].mean(0) for a, b in pairwise(_SLOTS)]
        values = np.concatenate(slots)
        rows.append(np.concatenate([values, values**2, [1.0]]))
    width = (len(_SLOTS) - 1) * loud.shape[1] * 2 + 1
    return np.array(rows).reshape(len(rows), width)
