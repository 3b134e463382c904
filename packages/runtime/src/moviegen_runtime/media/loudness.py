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
from av.filter.context import FilterContext
from numpy.typing import NDArray

from moviegen_runtime.media.sound import LAYOUTS, RATE, Samples, audio_frame

TARGET = -16.0
"""LUFS that films on the web are near to; our choice, where the paper is silent."""
CEILING = -1.0
"""dB that the true peak stays below, so that what a codec adds does not clip."""
MOST_GAIN = 30.0
"""dB: what is softer than the target by more is meant to be soft, or is hiss."""
_BLOCK = 2 * RATE // 5  # 0.4 s: nothing shorter has a loudness
_STEP = RATE // 10  # the meter tells what it knows so often
_ABSOLUTE_GATE = -70.0
_PEAK_GRAIN = 0.0005  # the meter tells a peak to three digits


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


def gain(loudness: Loudness, *, target: float = TARGET, ceiling: float = CEILING) -> float:
    """The factor that brings a sound to a loudness, or as near as its peak and `MOST_GAIN` allow.

    Sparse hard sounds stay softer than the target: no limiter flattens them. Silence stays silence.
    """
    if loudness.lufs is None:
        return 1.0
    decibels = min(target - loudness.lufs, MOST_GAIN, ceiling - loudness.peak)
    return float(10 ** (decibels / 20))


class _Meter:
    """The filter `ebur128`, which writes what it has measured onto the frames that leave it."""

    def __init__(self, channels: int) -> None:
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=RATE, format="fltp", layout=LAYOUTS[channels], time_base=Fraction(1, RATE)
        )
        meter = self._graph.add("ebur128", "metadata=1:peak=true")
        self._sink: FilterContext = self._graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        self._graph.configure()
        self._channels, self._count = channels, 0
        self._lufs, self._peak = _ABSOLUTE_GATE, 0.0

    def read(self, piece: Samples) -> None:
        for start in range(0, piece.shape[1], RATE):
            self._push(piece[:, start : start + RATE])

    def finished(self) -> Loudness:
        lufs = self._lufs
        # Silence brings out the last tenth of a second's peak; what it does to the loudness is not taken.
        self._push(np.zeros((self._channels, 2 * _STEP), np.float32))
        self._source.push(None)
        self._drain()
        peak = 20 * math.log10(self._peak + _PEAK_GRAIN) if self._peak > 0 else -math.inf
        return Loudness(lufs if lufs > _ABSOLUTE_GATE else None, peak)

    def _push(self, samples: NDArray[np.float32]) -> None:
        self._source.push(audio_frame(samples, RATE, self._count))
        self._count += samples.shape[1]
        self._drain()

    def _drain(self) -> None:
        for frame in self._out():
            said = frame.metadata
            if "lavfi.r128.I" in said:
                self._lufs = float(said["lavfi.r128.I"])
                self._peak = float(said["lavfi.r128.true_peak"])

    def _out(self) -> Iterator[AudioFrame]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(frame, AudioFrame)
            yield frame
