"""Films written frame by frame to mp4, with the times, colours and sound of the film that they are made of.

Video is H.264, in yuv420p; if a side is odd in yuv444p, since yuv420p has one colour for two by two pixels.
Sound is taken over packet by packet where an mp4 plays it, and else encoded as AAC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from numpy.typing import NDArray

from moviegen_runtime.media.film import FilmFormat, Sound, open_sound
from moviegen_runtime.media.reading import told
from moviegen_runtime.media.writing import add_h264, to_yuv

COPIED_SOUND = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}
"""Codecs that players find in an mp4."""
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_BITS_PER_CHANNEL = 96_000


class FilmWriter:
    """An mp4 that is being written; `create_film` makes one.

    Args:
        sound: of the film that this one is made of.
    """

    def __init__(self, container: OutputContainer, name: str, film: FilmFormat, sound: Sound | None) -> None:
        self._container, self._name, self._film = container, name, film
        self._video = add_h264(container, film.height, film.width, film.fps, film.colours)
        context = self._video.codec_context
        context.time_base = film.time_base
        context.sample_aspect_ratio = film.pixel_aspect
        context.flags |= Flags.frame_duration
        self._sound = None if sound is None else _SoundTrack(container, sound, film.origin)
        self.sound_says = "none" if self._sound is None else self._sound.says

    def write(self, picture: NDArray[np.uint8], time: int, duration: int) -> None:
        """Add a frame (H, W, 3), and the sound up to it.

        Raises:
            ValueError: the sound is damaged.
            OSError: the file cannot be written.
        """
        with _writing(self._name):
            frame = to_yuv(picture, self._video)
            frame.pts, frame.time_base, frame.duration = time, self._film.time_base, duration
            if self._sound is not None:
                self._sound.copy(until=time * self._film.time_base)
            self._container.mux(self._video.encode(frame))

    def finish(self, sound_until: Fraction | None = None) -> None:
        """End the video, with the sound up to a time in seconds, or all of it.

        Raises:
            ValueError: the sound is damaged.
            OSError: the file cannot be written.
        """
        with _writing(self._name):
            if self._sound is not None:
                self._sound.copy(until=sound_until)
                self._sound.finish()
            self._container.mux(self._video.encode())
            self._container.close()


@contextmanager
def create_film(path: Path, film: FilmFormat, sound_of: Path) -> Iterator[FilmWriter]:
    """Write an mp4 to `path`, with the sound of another file.

    Raises:
        ValueError: the sound is damaged.
        OSError: the file cannot be written.
    """
    with open_sound(sound_of) as sound:
        with _writing(path.name):
            container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        try:
            with _writing(path.name):
                writer = FilmWriter(container, path.name, film, sound)
            yield writer
        except BaseException:
            with suppress(av.FFmpegError):  # what is wrong is on its way already, and the file is of no use
                container.close()
            raise


class _SoundTrack:
    """The sound on its way from one file to another."""

    def __init__(self, container: OutputContainer, sound: Sound, origin: Fraction) -> None:
        self._container, self._path, self._origin = container, sound.path, origin
        self._packets = sound.packets
        self._waiting: Packet[AudioStream] | None = None
        name = sound.stream.codec_context.codec.canonical_name
        self._copied = name in COPIED_SOUND
        if self._copied:
            self._stream = container.add_stream_from_template(sound.stream)
            self.says = f"{name}, as it was"
        else:
            self._stream = _add_aac(container, sound.stream)
            self.says = f"{name}, encoded as aac"

    def copy(self, until: Fraction | None) -> None:
        """Take over what begins before a time in seconds, or all that is left."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = packet
            if packet is None or (until is not None and self._seconds(packet) >= until):
                return
            self._waiting = None
            self._take(packet)

    def finish(self) -> None:
        """Write what an encoder still holds."""
        if not self._copied:
            self._container.mux(self._stream.encode())

    def _seconds(self, packet: Packet[AudioStream]) -> Fraction:
        time = packet.pts if packet.pts is not None else packet.dts
        assert time is not None
        return time * packet.time_base - self._origin

    def _take(self, packet: Packet[AudioStream]) -> None:
        if not self._copied:
            with told(self._path):
                frames = packet.decode()
            for frame in frames:
                self._encode(frame)
            return
        shift = round(self._origin / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts - shift
        packet.dts = None if packet.dts is None else packet.dts - shift
        packet.stream = self._stream
        try:
            self._container.mux(packet)
        except (av.error.ArgumentError, av.error.InvalidDataError) as error:
            raise ValueError(
                f"the sound of {self._path} is damaged: an mp4 cannot hold it ({error.strerror})"
            ) from error

    def _encode(self, frame: AudioFrame) -> None:
        if frame.pts is not None and frame.time_base is not None:
            frame.pts -= round(self._origin / frame.time_base)
        self._container.mux(self._stream.encode(frame))


def _add_aac(container: OutputContainer, sound: AudioStream) -> AudioStream:
    rate = sound.rate if sound.rate in _AAC_RATES else 48000
    channels = sound.channels if sound.channels in _AAC_LAYOUTS else 2
    stream = container.add_stream("aac", rate=rate, layout=_AAC_LAYOUTS[channels])
    stream.bit_rate = _AAC_BITS_PER_CHANNEL * channels
    return stream


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(error.errno, f"cannot write {name}: {error.strerror}") from error
