"""Films of any length, frame by frame, with their times, colours and sound. Files are treated as hostile.

Legend: H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from moviegen_runtime.media.reading import (
    check_codec,
    check_end,
    decoded,
    opened,
    rate,
    told,
    upright,
    video_stream,
)
from moviegen_runtime.media.writing import Colours, usual_colours

MAX_GAP_SECONDS = 1800
"""Longest time that a frame is shown, and most that the sound begins before it: what an mp4 can say of every
time base here. What says more is damaged."""
_END_SLACK = 0.1
_FINEST_TIME_BASE = Fraction(1, 1_000_000)
_MATRICES = {
    *(Colorspace.ITU709, Colorspace.FCC, Colorspace.ITU601, Colorspace.SMPTE170M, Colorspace.SMPTE240M),
    9,  # BT.2020 with constant matrix, which has another number in the library's list
}
_UNSPECIFIED = 2


class FilmFrame(NamedTuple):
    """A frame, upright.

    Args:
        picture: (H, W, 3) uint8 RGB.
        time: when it is shown, in units of the film's time base; more than that of the frame before.
        duration: how long, in the same units.
    """

    picture: NDArray[np.uint8]
    time: int
    duration: int


@dataclass(frozen=True)
class FilmFormat:
    """What all frames of a film have in common.

    Args:
        height: rows, upright.
        width: columns, upright.
        time_base: seconds of a unit of time.
        fps: frames a second, on average.
        pixel_aspect: width over height of a pixel, upright.
        origin: what the file calls the time 0 of the film, in seconds.
    """

    height: int
    width: int
    time_base: Fraction
    fps: Fraction
    pixel_aspect: Fraction
    colours: Colours
    origin: Fraction


@dataclass(frozen=True)
class Film:
    """A film that is being read.

    Args:
        frames: in order; can be gone through once.
        expected: how many frames the file says there are; 0 if it does not say.
    """

    format: FilmFormat
    frames: Iterator[FilmFrame]
    expected: int


@dataclass(frozen=True)
class Sound:
    """The sound of a film that is being read.

    Args:
        packets: in order; can be gone through once.
    """

    path: Path
    stream: AudioStream
    packets: Iterator[Packet[AudioStream]]


@contextmanager
def open_film(path: Path, *, with_sound: bool = True) -> Iterator[Film]:
    """Read a film.

    Args:
        with_sound: look at its sound too: it is refused if damaged, and time begins with it if it begins
            first. False: time begins with the first frame.

    Raises:
        ValueError: the file is missing, no video, damaged, cut off, without frames, or beyond the limits.
            What stands later in the file is told when the frames get there.
    """
    with opened(path) as container:
        stream = video_stream(path, container)
        fps = rate(path, stream)
        _check_complete(path, container, stream)
        frames = decoded(path, container, stream)
        first = next(frames, None)
        if first is None:
            raise ValueError(f"{path} has a video stream without a single frame")
        sound = _sound_stream(path, container) if with_sound else None
        if sound is not None:
            _check_complete(path, container, sound)
        film_format = _format(path, stream, sound, first, fps)
        yield Film(film_format, _timed(path, chain([first], frames), film_format), _expected(stream, fps))


@contextmanager
def open_sound(path: Path) -> Iterator[Sound | None]:
    """Read the sound that a player of the film would play; None if it has none.

    Raises:
        ValueError: the file is missing or damaged.
    """
    with opened(path) as container:
        stream = _sound_stream(path, container)
        yield None if stream is None else Sound(path, stream, _packets(path, container, stream))


def _sound_stream(path: Path, container: InputContainer) -> AudioStream | None:
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream):
        return None
    check_codec(path, stream)
    return stream


def _packets(path: Path, container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    ends = 0.0
    with told(path):
        for packet in container.demux(stream):
            if packet.is_corrupt:
                raise ValueError(f"{path} is damaged or cut off: its sound could not be read whole")
            if packet.dts is not None and packet.size:
                ends = float((packet.dts + (packet.duration or 0)) * packet.time_base)
                yield packet
    check_end(path, stream, ends + _END_SLACK)


def _check_complete(path: Path, container: InputContainer, stream: Stream) -> None:
    """An mp4 that was cut off says so before anything is decoded: its index points behind its end."""
    if "mp4" not in container.format.name:
        return
    size = path.stat().st_size
    needed = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if needed > size:
        raise ValueError(f"{path} is damaged or cut off: it has {size} bytes, its index needs {needed}")


def _format(
    path: Path, stream: VideoStream, sound: AudioStream | None, first: VideoFrame, fps: Fraction
) -> FilmFormat:
    picture = upright(path, first)
    time_base = stream.time_base
    if time_base is None or time_base <= 0:
        raise ValueError(f"{path} says {time_base} as its unit of time; it must be above 0 seconds")
    aspect = stream.sample_aspect_ratio
    aspect = aspect if aspect is not None and aspect > 0 else Fraction(1)
    begin = (first.pts or 0) * time_base
    origin = begin
    if sound is not None and sound.start_time is not None and sound.time_base is not None:
        origin = min(begin, sound.start_time * sound.time_base)
    if begin - origin > MAX_GAP_SECONDS:
        raise ValueError(
            f"{path} is damaged: its sound begins {float(begin - origin):g} s before its picture"
        )
    return FilmFormat(
        height=picture.shape[0],
        width=picture.shape[1],
        time_base=max(time_base, _FINEST_TIME_BASE),
        fps=fps,
        pixel_aspect=1 / aspect if round(first.rotation / 90) % 2 else aspect,
        colours=_colours(first, picture.shape[0]),
        origin=origin,
    )


def _colours(frame: VideoFrame, height: int) -> Colours:
    """Those of a frame, so that a player shows the film as it shows the file; the usual ones if it is in RGB.

    A video that says nothing stays one that says nothing: players guess alike for both.
    """
    known = frame.colorspace in _MATRICES or frame.colorspace == _UNSPECIFIED
    if not known or not frame.format.name.startswith("yuv"):
        return usual_colours(height)
    return Colours(frame.colorspace, frame.color_primaries, frame.color_trc)


def _timed(path: Path, frames: Iterator[VideoFrame], film: FilmFormat) -> Iterator[FilmFrame]:
    """Every frame when the next one is there, which says how long it lasts; of the last its file says it."""
    usual = max(1, round(1 / (film.fps * film.time_base)))
    held: FilmFrame | None = None
    for frame in frames:
        picture = upright(path, frame)
        if picture.shape != (film.height, film.width, 3):
            raise ValueError(
                f"{path} changes its picture size on the way, from {film.width}x{film.height} to "
                f"{picture.shape[1]}x{picture.shape[0]}; cut it there"
            )
        unit = frame.time_base or film.time_base
        time = None if frame.pts is None else round((frame.pts * unit - film.origin) / film.time_base)
        time = _after(path, held, time, usual, film.time_base)
        if held is not None:
            yield held._replace(duration=time - held.time)
        duration = round(frame.duration * unit / film.time_base) if frame.duration else usual
        if not 0 < duration * film.time_base <= MAX_GAP_SECONDS:
            duration = usual
        held = FilmFrame(picture, time, duration)
    if held is not None:
        yield held


def _after(path: Path, held: FilmFrame | None, time: int | None, usual: int, time_base: Fraction) -> int:
    """When a frame is shown: where its file says, but after the one before; evenly where nothing is said."""
    if held is None:
        return max(0, time or 0)
    time = held.time + usual if time is None else max(time, held.time + 1)
    seconds = float((time - held.time) * time_base)
    if seconds > MAX_GAP_SECONDS:
        raise ValueError(
            f"{path} is damaged: a frame would be shown for {seconds:g} s; at most {MAX_GAP_SECONDS} are "
            "believed"
        )
    return time


def _expected(stream: VideoStream, fps: Fraction) -> int:
    if stream.frames or stream.duration is None or stream.time_base is None:
        return stream.frames
    return max(0, round(stream.duration * stream.time_base * fps))


def beside(film: FilmFormat) -> FilmFormat:
    """The format of two such films side by side."""
    return replace(film, width=2 * film.width)
