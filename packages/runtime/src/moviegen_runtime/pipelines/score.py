"""A soundtrack for a film of any length, in memory that does not grow with it (paper, section 6).

The film is looked at once, whole, before anything is made: a film that is damaged anywhere is told early, and
its length is known. What was seen, and later the sound, wait in files beside the output.

Legend: F pictures, H rows, W columns, E width of their features, C latent channels, T latent frames,
N samples.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from moviegen_audio import (
    AudioCodec,
    AudioConditions,
    AudioDiT,
    FrameFeatures,
    Sampler,
    Search,
    Segmenting,
    decode_values,
    extend,
    sample,
)
from moviegen_core import TextContext, TextEncoder, replacing
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from moviegen_runtime.media.cues import Cues, joined
from moviegen_runtime.media.film import FilmFormat, open_film
from moviegen_runtime.media.film_copying import can_copy, copy_film
from moviegen_runtime.media.film_sound import SampledSound
from moviegen_runtime.media.film_writing import create_film
from moviegen_runtime.media.loudness import (
    CEILING,
    FLATTENED,
    TARGET,
    Loudness,
    gain,
    limited,
    measured,
)
from moviegen_runtime.media.motion import MotionNotes
from moviegen_runtime.media.onsets import TIMBRE_BANDS
from moviegen_runtime.media.reading import fitted
from moviegen_runtime.media.seeing import seen
from moviegen_runtime.media.sound import RATE, Samples, StoredSound, faded, resampled, stored
from moviegen_runtime.media.sound_picture import film_picture
from moviegen_runtime.pipelines.ranking import Rank, foreseen_cues, rank_by_cues
from moviegen_runtime.results import Progress, ProgressCallback, Scored

_PICTURES_AT_ONCE = 32
_MARGIN = 32  # latent frames on either side of a segment
_MOMENTS_AT_ONCE = 1024


class FrameEncoder(Protocol):
    """Features of single pictures, such as those of the image tower of a CLIP."""

    @property
    def width(self) -> int:
        """E, width of the features."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the pictures that it reads."""
        ...

    def encode(self, pictures: Tensor) -> Tensor:
        """Features (F, E) of pictures (F, 3, H, W) in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Composing:
    """How a sound is made.

    Args:
        segmenting: how long the parts are that are made one after the other.
        search: draws of each part, and what is kept of them.
        rank: of draws; nothing is ranked where there is one.
        sampler: guidance, solver and steps.
    """

    segmenting: Segmenting = field(default_factory=Segmenting)
    search: Search = field(default_factory=Search)
    rank: Rank = rank_by_cues
    sampler: Sampler = sample

    @property
    def ranks(self) -> bool:
        """Whether there is a choice."""
        return self.search.candidates * self.search.beams > 1


@dataclass(frozen=True)
class SoundCast:
    """The models that make a soundtrack, in evaluation mode and on one device.

    Raises:
        ValueError: they do not fit each other.
    """

    codec: AudioCodec
    dit: AudioDiT
    text: TextEncoder
    sight: FrameEncoder

    def __post_init__(self) -> None:
        codec, config = self.codec, self.dit.config
        for what, made, taken in (
            ("channels of the codec's latent", codec.latent_channels, config.latent_channels),
            ("latent frames a second", codec.sample_rate / codec.hop, config.frame_rate),
            ("width of picture features", self.sight.width, config.video_width),
            ("width of token states", self.text.width, config.text_encoder.width),
            ("the text encoder", self.text.name, config.text_encoder.name),
        ):
            if made != taken:
                raise ValueError(f"{what}: {made} here, {taken} for the transformer; they must agree")
        if config.sight is not None and config.sight.bands != TIMBRE_BANDS:
            raise ValueError(
                f"timbres are heard in {TIMBRE_BANDS} bands; what sees for this transformer tells "
                f"{config.sight.bands}"
            )


def score(
    source: Path,
    output: Path,
    cast: SoundCast,
    caption: str | None,
    *,
    composing: Composing | None = None,
    seed: int = 0,
    loudness: float = TARGET,
    picture: Path | None = None,
    on_progress: ProgressCallback | None = None,
) -> Scored:
    """Write a film with a new sound, AAC at 48 kHz, in sync to the sample; a sound that it has is left out.

    Args:
        output: an mp4; it is there when everything is done, or not at all.
        caption: what is heard; None: what the picture says.
        seed: of the noise, which is drawn on the CPU.
        loudness: in LUFS; peaks are flattened by up to `FLATTENED` dB for it; see `gain` for when it is not
            reached all the same.
        picture: a png of the new film: frames, wave, spectrogram, and what is heard to begin.

    Raises:
        ValueError: the film has no picture, is damaged or too long, there is no room beside the output, or
            the models make of it what is no sound.
        OSError: a file cannot be written.
    """
    began, report = time.monotonic(), on_progress or _ignore
    text = None if caption is None else _read(cast, caption)  # first: it may be too long
    with ExitStack() as stack:
        aside = stack.enter_context(replacing(output))
        drawn = None if picture is None else stack.enter_context(replacing(picture))
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent)
        )
        composing = composing or Composing()
        # What sees for the transformer was trained to know when something begins; motion is for want of that.
        by_motion = composing.ranks and cast.dit.sight is None
        watched = _watch(source, cast, Path(folder) / "features", report, with_motion=by_motion)
        samples = round(watched.seconds * RATE)
        _check_room(source, Path(folder), samples)
        pieces = _composed(cast, watched, text, composing, seed, report)
        soft = faded(resampled(pieces, cast.codec.sample_rate), samples)
        sound = stored(soft, Path(folder) / "sound", samples)
        levelled = _levelled(sound, Path(folder) / "limited", loudness)
        copied = _write(source, aside, watched, _sampled(levelled.sound, levelled.rest), report)
        if drawn is not None:
            Image.fromarray(film_picture(aside)).save(drawn, format="png")
    return Scored(
        frames=watched.frames,
        seconds=float(watched.seconds),
        loudness=levelled.loudness,
        gain=levelled.gain,
        picture_copied=copied,
        took=time.monotonic() - began,
    )


@dataclass(frozen=True)
class _Watched:
    """What was seen of a film.

    Args:
        features: a file of float32 values (T, E), one row for each latent frame of sound.
        width: E.
        moments: T.
        motion: when it changes; None: it was not asked for.
    """

    features: Path
    width: int
    moments: int
    frames: int
    seconds: Fraction
    format: FilmFormat
    motion: Cues | None

    def during(self, moments: slice) -> NDArray[np.float32]:
        """Features (T, E) of some moments."""
        count = moments.stop - moments.start
        values = np.fromfile(
            self.features, np.float32, count * self.width, offset=4 * moments.start * self.width
        )
        return values.reshape(count, self.width)


def _watch(
    source: Path, cast: SoundCast, features: Path, report: ProgressCallback, *, with_motion: bool
) -> _Watched:
    """Go through the film once, and write down what is seen at the middle of each latent frame."""
    frames, moments, end = 0, 0, 0
    pictures: list[NDArray[np.uint8]] = []
    shown: list[int] = []
    notes = MotionNotes() if with_motion else None
    with open_film(source, with_sound=False) as film, features.open("wb") as file:
        report(Progress("watching", 0, film.expected))
        for frame, count in seen(source, film, cast.dit.config.frame_rate):
            frames, moments, end = frames + 1, moments + count, frame.time + frame.duration
            if notes is not None:
                notes.add(float(frame.time * film.format.time_base), frame.picture)
            if count:
                pictures.append(fitted(frame.picture, cast.sight.size))
                shown.append(count)
            if len(pictures) == _PICTURES_AT_ONCE:
                np.repeat(_features(cast, pictures), shown, axis=0).tofile(file)
                pictures, shown = [], []
                report(Progress("watching", frames, max(frames, film.expected)))
        if pictures:
            np.repeat(_features(cast, pictures), shown, axis=0).tofile(file)
        report(Progress("watching", frames, frames))
        seconds = end * film.format.time_base
        motion = None if notes is None else notes.changes()
        return _Watched(features, cast.sight.width, moments, frames, seconds, film.format, motion)


@torch.no_grad()
def _features(cast: SoundCast, pictures: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
    weights = cast.dit.no_text
    pixels_FHWC = torch.from_numpy(np.stack(pictures)).to(weights.device, torch.float32)
    pixels = pixels_FHWC.div(127.5).sub(1).permute(0, 3, 1, 2).to(weights.dtype)
    values: NDArray[np.float32] = cast.sight.encode(pixels).to("cpu", torch.float32).numpy()
    return values


def _composed(
    cast: SoundCast,
    watched: _Watched,
    text: TextContext | None,
    composing: Composing,
    seed: int,
    report: ProgressCallback,
) -> Iterator[Samples]:
    """The sound (1, N) at the codec's rate, piece by piece."""
    codec, weights = cast.codec, cast.dit.no_text
    rank = composing.rank(codec, _cues(cast, watched)) if composing.ranks else None

    @torch.no_grad()
    def conditions(frames: slice) -> AudioConditions:
        values_TE, inner = _around(cast, watched, frames)
        video = FrameFeatures(values_TE[None], cast.dit.config.frame_rate)
        return cast.dit.prepare(len(values_TE), text=text, video=video).span(inner)

    def latents() -> Iterator[Tensor]:
        done = 0
        report(Progress("composing", 0, watched.moments))
        made = extend(
            cast.dit,
            composing.segmenting.cut(0, watched.moments, cast.dit.config.frame_rate),
            conditions,
            torch.Generator().manual_seed(seed),
            search=composing.search,
            score=rank,
            sampler=composing.sampler,
        )
        for values in made:
            done += values.shape[2]
            yield values.to(weights.dtype)
            report(Progress("composing", done, watched.moments))

    for clip in decode_values(codec, latents(), watched.moments * codec.hop):
        yield clip.samples[0].to("cpu", torch.float32).numpy()


@torch.no_grad()
def _read(cast: SoundCast, caption: str) -> TextContext:
    weights = cast.dit.no_text
    return cast.text.encode([caption]).to(weights.device, weights.dtype)


def _cues(cast: SoundCast, watched: _Watched) -> Cues:
    """When something is seen that may begin to sound; it holds numbers of those moments alone."""
    if cast.dit.sight is None:
        assert watched.motion is not None
        return watched.motion
    parts = []
    for start in range(0, watched.moments, _MOMENTS_AT_ONCE):
        stop = min(start + _MOMENTS_AT_ONCE, watched.moments)
        values, inner = _around(cast, watched, slice(start, stop))
        rate = cast.dit.config.frame_rate
        parts.append(foreseen_cues(cast.dit.sight, values, rate, first=start, inner=inner))
    return joined(parts)


def _around(cast: SoundCast, watched: _Watched, frames: slice) -> tuple[Tensor, slice]:
    """Features (T, E) of some latent frames and of those beside them, and where the frames lie among them.

    What is seen just outside counts too: a model may project neighbouring pictures together.
    """
    weights, first = cast.dit.no_text, max(frames.start - _MARGIN, 0)
    values_TE = torch.from_numpy(watched.during(slice(first, min(frames.stop + _MARGIN, watched.moments))))
    return values_TE.to(weights.device, weights.dtype), slice(frames.start - first, frames.stop - first)


@dataclass(frozen=True)
class _Levelled:
    """A sound that is still to be multiplied by `rest`, by what it then was in all, and its loudness."""

    sound: StoredSound
    rest: float
    gain: float
    loudness: Loudness


def _levelled(sound: StoredSound, aside: Path, target: float) -> _Levelled:
    """A sound at a loudness, or as near as may be; its peaks are flattened if need be, in another file."""
    before, found = 1.0, measured(sound.pieces())
    factor = gain(found, target=target, flattened=FLATTENED)
    if found.peak + 20 * math.log10(factor) > CEILING:
        sound = stored(limited(sound.pieces(), factor), aside, sound.samples)
        before, found = factor, measured(sound.pieces())
        factor = gain(found, target=target)
    decibels = 20 * math.log10(factor)
    after = Loudness(None if found.lufs is None else found.lufs + decibels, found.peak + decibels)
    return _Levelled(sound, factor, before * factor, after)


def _sampled(sound: StoredSound, factor: float) -> SampledSound:
    level = np.float32(factor)
    return SampledSound((piece * level for piece in sound.pieces()), sound.channels, RATE)


def _write(
    source: Path, target: Path, watched: _Watched, sound: SampledSound, report: ProgressCallback
) -> bool:
    """The film with its sound; says whether the picture could stay as it is."""
    if can_copy(source):
        report(Progress("writing", 0, 1))
        copy_film(target, source, watched.format.origin, sound)
        report(Progress("writing", 1, 1))
        return True
    with open_film(source, with_sound=False) as film, create_film(target, film.format, sound) as writer:
        for done, frame in enumerate(film.frames, start=1):
            writer.write(frame.picture, frame.time, frame.duration)
            report(Progress("writing", done, watched.frames))
        writer.finish()
    return False


def _check_room(source: Path, folder: Path, samples: int) -> None:
    """Refuse before hours of work what could not be written after them."""
    needed = 8 * samples + 2 * source.stat().st_size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ValueError(
            f"the sound of {source} and the new film need about {needed / 1e9:.1f} GB beside the output, "
            f"and {free / 1e9:.1f} GB are free: make room, or write to another disk"
        )


def _ignore(progress: Progress) -> None:
    del progress
