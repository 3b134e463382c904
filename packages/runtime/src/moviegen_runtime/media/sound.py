"""Sound as samples: from one rate to that of films, to a file and back in pieces, with soft ends.

Legend: C channels, N samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""(C, N), nominally within [-1, 1]."""

RATE = 48_000
"""Samples a second of every sound that is written, as in the paper."""
LAYOUTS = {1: "mono", 2: "stereo"}
_FADE_IN = 0.005
_FADE_OUT = 0.05
_PIECE = RATE


@dataclass(frozen=True)
class StoredSound:
    """A sound at 48 kHz in a file of bare float32 samples, channels interleaved, so that it can be gone
    through several times without being held.

    Args:
        samples: of each channel.
    """

    path: Path
    channels: int
    samples: int

    def pieces(self) -> Iterator[Samples]:
        """The sound from its beginning, (C, N) by (C, N)."""
        missing = self.samples
        with self.path.open("rb") as file:
            while missing:
                values = np.fromfile(file, np.float32, _PIECE * self.channels)
                assert values.size, "the file is shorter than it was written"
                yield values.reshape(-1, self.channels).T
                missing -= values.size // self.channels


def stored(pieces: Iterable[Samples], path: Path, samples: int) -> StoredSound:
    """Write a sound at 48 kHz, cut or filled with silence to a length in samples.

    Raises:
        ValueError: no piece came at all, or one that is not finite.
        OSError: the file cannot be written.
    """
    channels, missing = 0, samples
    with path.open("wb") as file:
        for piece in pieces:
            if not np.isfinite(piece).all():
                raise ValueError(
                    "the sound holds values that are not finite: take --dtype float32, or another model"
                )
            channels = len(piece)
            np.ascontiguousarray(piece[:, :missing].T, dtype=np.float32).tofile(file)
            missing -= min(missing, piece.shape[1])
        if not channels:
            raise ValueError("a sound of no pieces cannot be stored")
        for start in range(0, missing, _PIECE):
            np.zeros((min(_PIECE, missing - start), channels), np.float32).tofile(file)
    return StoredSound(path, channels, samples)


def resampled(pieces: Iterable[Samples], rate: int) -> Iterator[Samples]:
    """A sound at 48 kHz, from pieces of it at another rate; every moment stays where it was."""
    if rate == RATE:
        yield from pieces
        return
    resampler, start = None, 0
    for piece in pieces:
        resampler = resampler or AudioResampler(format="fltp", layout=LAYOUTS[len(piece)], rate=RATE)
        for frame in resampler.resample(audio_frame(piece, rate, start)):
            yield _samples(frame)
        start += piece.shape[1]
    if resampler is not None:
        for frame in resampler.resample(None):
            yield _samples(frame)


def faded(pieces: Iterable[Samples], samples: int) -> Iterator[Samples]:
    """A sound of so many samples with its ends softened.

    5 ms in and 50 ms out, by half a cosine, or a quarter of the sound if that is shorter: no click, and
    what is heard on the first frame stays. What comes after so many samples is silence.
    """
    start = 0
    for piece in pieces:
        yield _faded(piece, start, samples)
        start += piece.shape[1]


def _faded(piece: Samples, start: int, samples: int) -> Samples:
    places = np.arange(start, start + piece.shape[1])
    level = np.ones(piece.shape[1])
    for seconds, distance in ((_FADE_IN, places), (_FADE_OUT, samples - 1 - places)):
        length = max(1, min(round(seconds * RATE), samples // 4))
        level *= np.sin(np.pi / 2 * np.clip(distance / length, 0, 1)) ** 2
    return np.asarray(piece * level, dtype=np.float32)


def audio_frame(samples: Samples, rate: int, start: int) -> AudioFrame:
    """Samples (C, N) as the library takes them, `start` samples after the sound's beginning."""
    frame = AudioFrame.from_ndarray(
        np.ascontiguousarray(samples), format="fltp", layout=LAYOUTS[len(samples)]
    )
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), start
    return frame


def _samples(frame: AudioFrame) -> Samples:
    return np.asarray(frame.to_ndarray(), dtype=np.float32)
