"""How loud a sound is, and what brings it to a level: ITU-R BS.1770-4 and EBU R 128, by FFmpeg's meter.

Legend: C channels, N samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph

from moviegen_runtime.media.sound import LAYOUTS, RATE, Samples, audio_frame

TARGET = -16.0
"""LUFS that films on the web are near to; our choice, where the paper is silent."""
CEILING = -1.0
"""dB that the true peak stays below, so that what a codec adds does not clip."""
MOST_GAIN = 30.0
"""dB: what is softer than the target by more is meant to be soft, or is hiss."""
FLATTENED = 6.0
"""dB by which peaks are flattened at most where the target would push them above the ceiling; our choice."""
_BLOCK = 2 * RATE // 5  # 0.4 s: nothing shorter has a loudness
_STEP = RATE // 10  # the meter tells what it knows so often
_ABSOLUTE_GATE = -70.0
_PEAK_GRAIN = 0.0005  # the meter tells a peak to three digits
_FINE_RATE = 4 * RATE  # at which a peak between samples is a sample, nearly


class Loudness(NamedTuple):
    """Of a whole sound.

    Args:
        lufs: integrated; None if all of it is below -70 LUFS, as silence is.
        peak: the true peak in dB of full scale, measured between the samples too, rounded up; -inf: silence.
    """

    lufs: float | None
    peak: float


def measured(pieces: Iterable[Samples]) -> Loudness:
    """Loudness of a sound at 48 kHz that comes in finite pieces (C, N), in memory that does not grow with it.

    What is shorter than 0.4 s is measured as if it went on by being repeated.

    Raises:
        ValueError: no samples at all.
    """
    meter: _Meter | None = None
    short: list[Samples] = []
    count = 0
    for piece in pieces:
        meter = meter or _Meter(len(piece))
        meter.read(piece)
        if count < _BLOCK:
            short.append(piece)
        count += piece.shape[1]
    if meter is None or count == 0:
        raise ValueError("a sound without samples has no loudness")
    if count < _BLOCK:
        whole = np.concatenate(short, axis=1)
        return measured([np.tile(whole, -(-_BLOCK // count))])._replace(peak=meter.finished().peak)
    return meter.finished()


def gain(
    loudness: Loudness, *, target: float = TARGET, ceiling: float = CEILING, flattened: float = 0.0
) -> float:
    """The factor that brings a sound to a loudness, or as near as its peak and `MOST_GAIN` allow.

    Silence stays silence.

    Args:
        flattened: dB by which the peak may come out above the ceiling, for `limited` to take down.
    """
    if loudness.lufs is None:
        return 1.0
    decibels = min(target - loudness.lufs, MOST_GAIN, ceiling + flattened - loudness.peak)
    return float(10 ** (decibels / 20))


def limited(pieces: Iterable[Samples], factor: float, *, ceiling: float = CEILING) -> Iterator[Samples]:
    """A sound at 48 kHz (C, N) times a factor, with its peaks taken down to the ceiling, about.

    FFmpeg's `alimiter` turns the level down over 5 ms before a peak and up again over 50 ms after it, at four
    times the rate, so that peaks between samples count. No moment is moved, and no piece is longer than a
    second.
    """
    level = 10 ** (ceiling / 20)
    chain: _Chain | None = None
    for piece in pieces:
        chain = chain or _Chain(
            len(piece),
            ("aresample", str(_FINE_RATE)),
            ("alimiter", f"limit={level:.6f}:level=0:attack=5:release=50:latency=1"),
            ("aresample", str(RATE)),
            ("aformat", "sample_fmts=fltp"),
        )
        for frame in chain.through(piece * np.float32(factor)):
            yield np.asarray(frame.to_ndarray(), np.float32)
    if chain is not None:
        for frame in chain.rest():
            yield np.asarray(frame.to_ndarray(), np.float32)


class _Chain:
    """Filters of FFmpeg, one after the other: each its name and options."""

    def __init__(self, channels: int, *filters: tuple[str, str]) -> None:
        self._graph = Graph()
        self._source = last = self._graph.add_abuffer(
            sample_rate=RATE, format="fltp", layout=LAYOUTS[channels], time_base=Fraction(1, RATE)
        )
        for name, options in (*filters, ("abuffersink", "")):
            following = self._graph.add(name, options)
            last.link_to(following)
            last = following
        self._graph.configure()
        self._count = 0

    def through(self, samples: Samples) -> Iterator[AudioFrame]:
        """What comes out when these samples go in, a second at a time."""
        for start in range(0, samples.shape[1], RATE):
            piece = samples[:, start : start + RATE]
            self._source.push(audio_frame(piece, RATE, self._count))
            self._count += piece.shape[1]
            yield from self._out()

    def rest(self) -> Iterator[AudioFrame]:
        """What comes out after the last sample."""
        self._source.push(None)
        yield from self._out()

    def _out(self) -> Iterator[AudioFrame]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield frame


class _Meter:
    """The filter `ebur128`, which writes what it has measured onto the frames that leave it."""

    def __init__(self, channels: int) -> None:
        self._chain, self._channels = _Chain(channels, ("ebur128", "metadata=1:peak=true")), channels
        self._lufs, self._peak = _ABSOLUTE_GATE, 0.0

    def read(self, piece: Samples) -> None:
        self._note(self._chain.through(piece))

    def finished(self) -> Loudness:
        lufs = self._lufs
        # Silence brings out the last tenth of a second's peak; what it does to the loudness is not taken.
        self._note(self._chain.through(np.zeros((self._channels, 2 * _STEP), np.float32)))
        self._note(self._chain.rest())
        peak = 20 * math.log10(self._peak + _PEAK_GRAIN) if self._peak > 0 else -math.inf
        return Loudness(lufs if lufs > _ABSOLUTE_GATE else None, peak)

    def _note(self, frames: Iterable[AudioFrame]) -> None:
        for frame in frames:
            said = frame.metadata
            if "lavfi.r128.I" in said:
                self._lufs = float(said["lavfi.r128.I"])
                self._peak = float(said["lavfi.r128.true_peak"])
