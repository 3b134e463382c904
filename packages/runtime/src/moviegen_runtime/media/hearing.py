"""The sound of a film, or of a sound file, as samples of any rate. FFmpeg resamples."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from moviegen_core import AudioClip

from moviegen_runtime.media.film import Sound, open_sound
from moviegen_runtime.media.reading import told
from moviegen_runtime.media.sound import RATE, Samples

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
"""What a codec mixes to one channel; FFmpeg makes stereo of all others."""
_MAX_SECONDS = 3600.0
_FORGIVEN_SECONDS = 0.1


def stream_sound(path: Path | str, sample_rate: int) -> Iterator[AudioClip]:
    """Read a sound piece by piece, in constant memory; `encode_stream` of moviegen-audio takes what it gives.

    Args:
        path: a sound file, or a film with sound.
        sample_rate: of what is read, e.g. the codec's.

    Returns:
        Clips (1, C, N) that follow each other: mono, stereo and 5.1 with the channels that they have (front
        left, right, centre, low frequency, surround left, right), all else mixed to stereo.

    Raises:
        ValueError: the rate is below 1, or the file is missing, damaged or without sound.
    """
    if sample_rate < 1:
        raise ValueError(f"sample_rate must be at least 1, not {sample_rate}")
    path = Path(path)
    with open_sound(path) as sound:
        if sound is None:
            raise ValueError(f"{path} has no sound")
        resampler: AudioResampler | None = None
        for packet in sound.packets:
            with told(path):
                frames = packet.decode()
            for frame in frames:
                if resampler is None:  # what a file says of its sound beforehand may be wrong
                    layout = _LAYOUTS.get(frame.layout.nb_channels, "stereo")
                    resampler = AudioResampler(format="fltp", layout=layout, rate=sample_rate)
                with told(path):
                    parts = resampler.resample(frame)
                yield from (_clip(part, sample_rate) for part in parts if part.samples)
        if resampler is None:
            raise ValueError(f"{path} has a sound without a single sample")
        with told(path):
            rest = resampler.resample(None)
        yield from (_clip(part, sample_rate) for part in rest if part.samples)


def read_sound(path: Path | str, sample_rate: int) -> AudioClip:
    """Read a whole sound, of an hour at most: (1, C, N) at the rate, as `stream_sound` does.

    Raises:
        ValueError: as `stream_sound`, or the sound is longer.
    """
    pieces, samples = [], 0
    for piece in stream_sound(path, sample_rate):
        pieces.append(piece.samples)
        samples += piece.num_samples
        if samples > _MAX_SECONDS * sample_rate:
            raise ValueError(f"{path} is longer than an hour: read it by stream_sound, piece by piece")
    return AudioClip(torch.cat(pieces, dim=2), sample_rate)


def _clip(frame: AudioFrame, sample_rate: int) -> AudioClip:
    samples = np.asarray(frame.to_ndarray(), dtype=np.float32)
    return AudioClip(torch.from_numpy(samples)[None], sample_rate)


def heard(path: Path, *, begin: Fraction, samples: int, rate: int = RATE, complete: bool = False) -> Samples:
    """What is heard from a moment on: (1, N), channels mixed to one, silence where there is no sound.

    Args:
        begin: what the file calls the moment from which on it is heard, in seconds: a film's `origin`.
        samples: N.
        rate: samples a second.
        complete: refuse a sound that ends before; a tenth of a second is forgiven.

    Raises:
        ValueError: the file is missing, its sound is damaged, or it ends too early.
    """
    whole = np.zeros((1, samples), np.float32)
    place: int | None = None
    with open_sound(path) as sound:
        for frame in () if sound is None else _mixed(sound, rate):
            if place is None:
                place = round((Fraction(frame.pts or 0) * (frame.time_base or 0) - begin) * rate)
            part = np.asarray(frame.to_ndarray(), dtype=np.float32)
            kept = part[:, max(-place, 0) : max(samples - place, 0)]
            whole[:, max(place, 0) : max(place, 0) + kept.shape[1]] = kept
            place += part.shape[1]
            if place >= samples:
                break
    missing = (samples - (place or 0)) / rate
    if complete and missing > _FORGIVEN_SECONDS:
        raise ValueError(
            f"{path} is cut off, or says that it is longer: {missing:.2f} s of sound are missing"
        )
    return whole


def _mixed(sound: Sound, rate: int) -> Iterator[AudioFrame]:
    """A sound in one channel, at a rate."""
    resampler = AudioResampler(format="fltp", layout="mono", rate=rate)
    for packet in sound.packets:
        with told(sound.path):
            frames = [part for frame in packet.decode() for part in resampler.resample(frame)]
        yield from frames
    with told(sound.path):
        rest = resampler.resample(None)
    yield from rest
