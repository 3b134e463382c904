"""A film's picture, as it is, beside another sound: packets are copied, nothing is decoded or coded again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from moviegen_runtime.media.film_sound import SampledSound, add_sound
from moviegen_runtime.media.film_writing import created, writing
from moviegen_runtime.media.reading import opened, told, video_stream

COPIED_VIDEO = {"av1", "h264", "hevc", "vp9"}
"""Codecs that players find in an mp4."""
_TIMED_CONTAINERS = {"mp4", "matroska", "mpegts", "flv"}
"""Those that say when each frame is shown; others say in which order they are decoded."""
_MOST_REORDERED = 16  # frames, in H.264 and H.265
_TRIED = 32


def can_copy(path: Path) -> bool:
    """Whether an mp4 can show the picture of a file as it is.

    It goes through the whole file, without decoding it: every packet must say when it is decoded and shown,
    in order, and none may be there only to be left out, as in a film that was cut without coding it again.
    The first ones are written on trial.

    Raises:
        ValueError: the file is damaged.
    """
    with opened(path) as container:
        stream = video_stream(path, container)
        if stream.codec_context.codec.canonical_name not in COPIED_VIDEO:
            return False
        if _TIMED_CONTAINERS.isdisjoint(container.format.name.split(",")):
            return False
        last: int | None = None
        first: list[Packet[VideoStream]] = []
        for packet in _packets(path, container, stream):
            if packet.pts is None or packet.dts is None or packet.is_discard:
                return False
            if packet.dts > packet.pts or (last is not None and packet.dts <= last):
                return False
            last = packet.dts
            if len(first) < _TRIED:
                first.append(packet)
        return bool(first) and _taken(stream, first)


def copy_film(path: Path, source: Path, origin: Fraction, sound: SampledSound) -> None:
    """Write an mp4 to `path`, with the picture of a file that `can_copy` agrees to, and samples as its sound.

    Args:
        origin: what the source calls the time 0 of the film, in seconds.

    Raises:
        ValueError: the source is damaged.
        OSError: the file cannot be written.
    """
    with opened(source) as given, created(path) as container:
        stream = video_stream(source, given)
        with writing(path.name):
            # `opaque`: as it is, also where the library has no encoder of that kind.
            video = container.add_stream_from_template(stream, opaque=True)
            track = add_sound(container, sound, origin)
        for packet in _packets(source, given, stream):
            assert packet.pts is not None
            assert packet.dts is not None
            shift = round(origin / packet.time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, video
            until = packet.dts * packet.time_base
            with writing(path.name):
                track.copy(until)
                container.mux(packet)
        with writing(path.name):
            track.copy(None)
            track.finish()
            container.close()


def _taken(stream: VideoStream, packets: list[Packet[VideoStream]]) -> bool:
    """Whether an mp4 can be made of a film's first packets."""
    with suppress(av.FFmpegError, ValueError):  # the library asks the format first, and says that so
        with av.open(io.BytesIO(), "w", format="mp4") as trial:
            video = trial.add_stream_from_template(stream, opaque=True)
            for packet in packets:
                packet.stream = video
                trial.mux(packet)
        return True
    return False


def _packets(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """All packets. Of the first ones Matroska does not say when they are decoded: it is before the others."""
    first: list[Packet[VideoStream]] = []
    with told(path):
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.dts is None and len(first) < _MOST_REORDERED:
                first.append(packet)
                continue
            if packet.dts is not None:
                for back, early in enumerate(reversed(first), start=1):
                    early.dts = packet.dts - back * (early.duration or 1)
            yield from first
            first = []
            yield packet
    yield from first
