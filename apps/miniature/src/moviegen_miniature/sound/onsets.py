"""The onset judge: how what begins in a sound agrees with what was to begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from moviegen_runtime.media.onsets import Times, matched

TOLERANCE = 0.125  # seconds between an onset and its event
EDGE = 0.1  # seconds at either end of a clip in which neither events nor onsets count


@dataclass(frozen=True)
class Agreement:
    """Onsets against events, over some clips.

    Args:
        events: how many events there were.
        onsets: how many onsets were heard.
        errors: seconds that each matched onset comes after its event.
    """

    events: int
    onsets: int
    errors: Times

    @property
    def f1(self) -> float:
        """Of matched pairs: 1 if every event has its onset and no onset lacks an event, or both are none."""
        return 2 * len(self.errors) / (self.events + self.onsets) if self.events + self.onsets else 1.0

    @property
    def median_error(self) -> float:
        """Median distance in seconds of matched pairs; not a number if there is none."""
        return float(np.median(np.abs(self.errors))) if len(self.errors) else float("nan")


def inner(moments: Sequence[float] | Times, seconds: float) -> Times:
    """The moments of a clip that count: what lies at its very ends can be neither seen nor heard to begin."""
    whole = np.asarray(moments, dtype=np.float64)
    return whole[(whole >= EDGE) & (whole <= seconds - EDGE)]


def agreement(pairs: Sequence[tuple[Times, Times]]) -> Agreement:
    """Compare clips' onsets with their events, both in order: as many pairs as can be within the tolerance.

    Args:
        pairs: (onsets, events) of each clip, in seconds.
    """
    errors = [matched(heard, true, TOLERANCE) for heard, true in pairs]
    return Agreement(
        events=sum(len(true) for _, true in pairs),
        onsets=sum(len(heard) for heard, _ in pairs),
        errors=np.concatenate([np.zeros(0), *errors]),
    )


def f1_interval(
    pairs: Sequence[tuple[Times, Times]], *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of F1 by drawing the clips anew, since onsets of one clip are not independent.

    Raises:
        ValueError: there is no clip.
    """
    if not pairs:
        raise ValueError("an interval needs at least one clip")
    counts = np.array([[len(matched(*pair, TOLERANCE)), len(pair[0]) + len(pair[1])] for pair in pairs])
    rng = np.random.default_rng(seed)
    drawn = counts[rng.integers(len(counts), size=(draws, len(counts)))].sum(1)
    values = np.where(drawn[:, 1] > 0, 2 * drawn[:, 0] / np.maximum(drawn[:, 1], 1), 1.0)
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def chance_f1(
    pairs: Sequence[tuple[Times, Times]], seconds: Sequence[float], *, draws: int = 100, seed: int = 0
) -> float:
    """F1 of as many onsets a clip as were heard, thrown anywhere into it.

    Args:
        pairs: (onsets, events) of each clip.
        seconds: how long each clip is.
    """
    rng = np.random.default_rng(seed)
    thrown = [
        (np.sort(rng.uniform(EDGE, lasts - EDGE, len(heard))), true)
        for _ in range(draws)
        for (heard, true), lasts in zip(pairs, seconds, strict=True)
    ]
    return agreement(thrown).f1


def shuffled(pairs: Sequence[tuple[Times, Times]], *, seed: int = 0) -> list[tuple[Times, Times]]:
    """The same onsets against the events of other clips.

    Raises:
        ValueError: there are not two clips.
    """
    return [
        (heard, pairs[other][1])
        for (heard, _), other in zip(pairs, others(len(pairs), seed=seed), strict=True)
    ]


def others(num_clips: int, *, seed: int = 0) -> list[int]:
    """For each clip another one, each of them once: the one before it in a random round of all.

    Raises:
        ValueError: there are not two clips.
    """
    if num_clips < 2:
        raise ValueError("clips can be shuffled only if there are at least two")
    order = np.random.default_rng(seed).permutation(num_clips)
    found = np.empty(num_clips, np.int64)
    found[order] = np.roll(order, 1)
    return [int(place) for place in found]
