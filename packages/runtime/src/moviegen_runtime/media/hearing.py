"""The sound of a film as samples, as a player would play them beside the picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.resampler import AudioResampler

from moviegen_runtime.media.film import open_sound
from moviegen_runtime.media.reading import told
from moviegen_runtime.media.sound import RATE, Samples


def heard(path: Path, *, begin: Fraction, seconds: float) -> Samples:
    """What is heard for so long: (1, N) at 48 kHz, channels mixed to one, silence where there is no sound.

    Args:
        begin: what the file calls the moment from which on it is heard, in seconds: a film's `origin`.

    Raises:
        ValueError: the file is missing, or its sound is damaged.
    """
    whole = np.zeros((1, round(seconds * RATE)), np.float32)
    resampler = AudioResampler(format="fltp", layout="mono", rate=RATE)
    place: int | None = None
    with open_sound(path) as sound:
        for packet in () if sound is None else sound.packets:
            with told(path):
                frames = [part for frame in packet.decode() for part in resampler.resample(frame)]
            for frame in frames:
                if place is None:
                    place = round((Fraction(frame.pts or 0) * (frame.time_base or 0) - begin) * RATE)
                part = np.asarray(frame.to_ndarray(), dtype=np.float32)
                kept = part[:, max(-place, 0) : max(whole.shape[1] - place, 0)]
                whole[:, max(place, 0) : max(place, 0) + kept.shape[1]] = kept
                place += part.shape[1]
            if place is not None and place >= whole.shape[1]:
                break
    return whole
