"""Figures with their 95 % intervals: shares, means and medians."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_Z = 1.959964


class Interval(NamedTuple):
    """A figure, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's score interval of a share, 0 to 1.

    Raises:
        ValueError: there is no trial.
    """
    if trials < 1:
        raise ValueError("an interval needs at least one trial")
    share = successes / trials
    spread = 1 + _Z * _Z / trials
    middle = (share + _Z * _Z / (2 * trials)) / spread
    half = _Z * math.sqrt(share * (1 - share) / trials + _Z * _Z / (4 * trials * trials)) / spread
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean, by the normal approximation; a single value bounds nothing.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    mean = float(np.mean(values))
    half = _Z * float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return Interval(mean, mean - half, mean + half)


def median_interval(values: Sequence[float]) -> Interval:
    """Median, between the two values that hold it with 95 % or more whatever the distribution (sign test).

    Of fewer than six values none do, and the ends are infinite.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    ordered, count = sorted(values), len(values)
    below, tail = 0, 1  # `tail` of 2 ** count outcomes have at most `below` values under the median
    while 40 * (tail + math.comb(count, below + 1)) <= 2**count:
        below += 1
        tail += math.comb(count, below)
    enough = 40 * tail <= 2**count
    low, high = (ordered[below], ordered[count - 1 - below]) if enough else (-math.inf, math.inf)
    return Interval(float(np.median(ordered)), low, high)
