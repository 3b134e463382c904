"""The sound of an mp4 that is being written: taken over from a film packet by packet, or encoded as AAC.

FFmpeg's encoder begins with 1024 samples that it needs and nobody is to hear; the mp4 says so (an edit list),
so that players and readers are in sync to the sample.

Legend: C channels, N samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from moviegen_runtime.media.film import Sound
from moviegen_runtime.media.reading import told
from moviegen_runtime.media.sound import LAYOUTS, Samples, audio_frame

COPIED_SOUND = {"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"}
"""Codecs that players find in an mp4."""
_AAC_RATES = {8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000}
_AAC_LAYOUTS = {**LAYOUTS, 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_AAC_BITS_PER_CHANNEL = 96_000


@dataclass(frozen=True)
class SampledSound:
    """A sound that begins with the film.

    Args:
        pieces: (C, N) each, in order; can be gone through once.
        channels: 1 or 2.
        rate: samples a second, one that AAC has.
    """

    pieces: Iterator[Samples]
    channels: int
    rate: int


class SoundTrack(Protocol):
    """What a writer of films asks of its sound."""

    @property
    def says(self) -> str:
        """What becomes of the sound, in words."""
        ...

    def copy(self, until: Fraction | None) -> None:
        """Write what begins before a time in seconds, or all that is left."""
        ...

    def finish(self) -> None:
        """Write what an encoder still holds."""
        ...


def add_sound(container: OutputContainer, sound: Sound | SampledSound, origin: Fraction) -> SoundTrack:
    """Give an mp4 its sound.

    Args:
        origin: what the file that a `Sound` comes from calls the time 0 of the film, in seconds.
    """
    if isinstance(sound, SampledSound):
        return _SampledTrack(container, sound)
    return _FilmTrack(container, sound, origin)


class _SampledTrack:
    """Samples on their way into a file."""

    def __init__(self, container: OutputContainer, sound: SampledSound) -> None:
        self._container, self._sound = container, sound
        self._stream = _add_aac(container, sound.rate, sound.channels)
        self._written = 0
        self.says = "aac"

    def copy(self, until: Fraction | None) -> None:
        """Encode the pieces that begin before a time in seconds, or all that are left."""
        while until is None or Fraction(self._written, self._sound.rate) < until:
            piece = next(self._sound.pieces, None)
            if piece is None:
                return
            self._container.mux(self._stream.encode(audio_frame(piece, self._sound.rate, self._written)))
            self._written += piece.shape[1]

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._container.mux(self._stream.encode())


class _FilmTrack:
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
            self._stream = _add_aac(container, sound.stream.rate, sound.stream.channels)
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


def _add_aac(container: OutputContainer, rate: int, channels: int) -> AudioStream:
    rate = rate if rate in _AAC_RATES else 48000
    channels = channels if channels in _AAC_LAYOUTS else 2
    stream = container.add_stream("aac", rate=rate, layout=_AAC_LAYOUTS[channels])
    stream.bit_rate = _AAC_BITS_PER_CHANNEL * channels
    return stream
