"""What is put before the sound judges: sounds that a cast makes of pictures, of captions or of both, and
sounds that a codec gives back.

Legend: B sounds, C latent channels, T latent frames, N samples, F pictures, H rows, W columns, E width of
their features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from moviegen_audio import (
    AudioCodec,
    AudioConditions,
    FrameFeatures,
    MelDistance,
    sample,
)
from moviegen_core import AudioClip, AudioLatent
from moviegen_dit import Method
from moviegen_runtime.media.cues import Cues, fitness
from moviegen_runtime.media.motion import motion_changes
from moviegen_runtime.metrics import Frames, si_sdr
from moviegen_runtime.pipelines.ranking import foreseen_cues
from moviegen_runtime.pipelines.score import SoundCast
from numpy.typing import NDArray

from moviegen_miniature.render import render
from moviegen_miniature.sound.captions import sound_caption
from moviegen_miniature.sound.soundtrack import Take, soundtrack
from moviegen_miniature.sprites import Sprites

_SEEDS_APART = 1_000_000  # noise seeds of two trials of the same clip never meet

Sound = NDArray[np.float32]
"""(1, N) within [-1, 1], at the rate of the codec."""


@dataclass(frozen=True)
class Film:
    """Pictures (F, H, W, 3) of 8 bits, and how many of them are shown a second."""

    frames: Frames
    fps: float


@dataclass(frozen=True)
class SoundSampling:
    """How sounds are made.

    Args:
        steps: of the solver.
        guidance: its scale.
        method: solver; all but Euler's ask the transformer twice a step.
        seed: trial 0, 1, 2 ...; each gives every clip noise of its own.
        candidates: draws of each sound that has a film; the one that goes best with it is kept.
        batch: draws that go through the transformer together, or those of one sound if these are more.
    """

    steps: int
    guidance: float
    method: Method
    seed: int = 0
    candidates: int = 1
    batch: int = 10


@dataclass(frozen=True)
class SoundFidelity:
    """How close a codec's sounds are to what it was given.

    Args:
        mel: distance of mel spectrograms of each sound (`MelDistance`).
        si_sdr: of each sound, in dB.
        sounds: what it gave back.
    """

    mel: Sequence[float]
    si_sdr: Sequence[float]
    sounds: Sequence[Sound]


def captions(takes: Sequence[Take]) -> list[str]:
    """What is heard in each take, in words."""
    return [sound_caption(take).text() for take in takes]


def films(takes: Sequence[Take], sprites: Sprites) -> Callable[[int], Film]:
    """What is seen in each take, by its place; rendered when it is asked for."""
    return lambda place: Film(render(takes[place].scene, sprites).frames, takes[place].scene.fps)


def made(
    cast: SoundCast,
    count: int,
    seconds: float,
    sampling: SoundSampling,
    say: Callable[[str], None],
    *,
    film: Callable[[int], Film] | None = None,
    words: Sequence[str] | None = None,
) -> Iterator[Sound]:
    """What a cast makes of films, of captions or of both, in their order.

    Args:
        count: of sounds.
        seconds: how long each is to be.
        film: what is seen, by the place of the sound; None: nothing.
        words: captions; None: none.

    Raises:
        ValueError: neither films nor captions, or a caption that the text encoder cannot read.
    """
    draws = 1 if film is None else sampling.candidates
    together = max(1, sampling.batch // draws)
    for start in range(0, count, together):
        places = range(start, min(start + together, count))
        shown = None if film is None else [film(place) for place in places]
        read = None if words is None else words[places.start : places.stop]
        drawn = _drawn(cast, seconds, sampling, draws, places, shown, read)
        if shown is None or draws == 1:
            yield from drawn[:, 0]
        else:
            yield from (_fittest(each, scene, cast) for each, scene in zip(drawn, shown, strict=True))
        say(f"{places.stop} of {count} sounds made")


@torch.no_grad()
def cues(cast: SoundCast, film: Film) -> Cues:
    """What draws are ranked by, as `moviegen_runtime.pipelines.score` has it."""
    if cast.dit.sight is None:
        return motion_changes((place / film.fps, frame) for place, frame in enumerate(film.frames))
    rate = cast.dit.config.frame_rate
    frames = max(1, round(len(film.frames) / film.fps * rate))
    return foreseen_cues(cast.dit.sight, _seen(cast, [film], frames, rate).values[0], rate)


def codec_fidelity(codec: AudioCodec, takes: Sequence[Take], say: Callable[[str], None]) -> SoundFidelity:
    """True soundtracks through a codec, compared with themselves."""
    distance = MelDistance(codec.sample_rate)
    mel, ratios, sounds = [], [], []
    for place, take in enumerate(takes):
        true = soundtrack(take, rate=codec.sample_rate)
        sounds.append(given_back(codec, true))
        pair = torch.from_numpy(sounds[-1])[None], torch.from_numpy(true)[None]
        mel.append(float(distance(*pair)))
        ratios.append(float(si_sdr(*pair)))
        if (place + 1) % 50 == 0:
            say(f"{place + 1} of {len(takes)} soundtracks through the codec")
    return SoundFidelity(mel, ratios, sounds)


@torch.no_grad()
def given_back(codec: AudioCodec, sound: Sound) -> Sound:
    """A sound through a codec, (1, N) at its rate."""
    clip = AudioClip(torch.from_numpy(sound)[None], codec.sample_rate)
    return np.asarray(codec.decode(codec.encode(clip)).samples[0])


@torch.no_grad()
def _drawn(
    cast: SoundCast,
    seconds: float,
    sampling: SoundSampling,
    draws: int,
    places: range,
    shown: Sequence[Film] | None,
    words: Sequence[str] | None,
) -> NDArray[np.float32]:
    """(B, draws, 1, N)."""
    codec, rate = cast.codec, cast.dit.config.frame_rate
    samples = round(seconds * codec.sample_rate)
    frames = -(-samples // codec.hop)
    noise = []
    for place in places:
        # One after the other, so that the first draw is the same whatever their number.
        generator = torch.Generator().manual_seed(sampling.seed * _SEEDS_APART + place)
        noise += [torch.randn(codec.latent_channels, frames, generator=generator) for _ in range(draws)]
    told: AudioConditions = cast.dit.prepare(
        frames,
        text=None if words is None else cast.text.encode(words),
        video=None if shown is None else _seen(cast, shown, frames, rate),
    )
    values = sample(
        cast.dit,
        told.repeated(draws),
        torch.stack(noise),
        guidance=sampling.guidance,
        steps=sampling.steps,
        method=sampling.method,
    )
    clip = codec.decode(AudioLatent(values, codec.hop, samples, codec.sample_rate))
    return clip.samples.reshape(len(places), draws, 1, samples).numpy()


def _fittest(drawn: NDArray[np.float32], film: Film, cast: SoundCast) -> Sound:
    """Of sounds (draws, 1, N), the one that goes best with what is seen; of equals the first."""
    seen = cues(cast, film)
    scores = [fitness(seen, sound, cast.codec.sample_rate) for sound in drawn]
    return np.asarray(drawn[int(np.argmax(scores))])


def _seen(cast: SoundCast, shown: Sequence[Film], frames: int, rate: float) -> FrameFeatures:
    """Features of what is seen at the middle of each latent frame of each film."""
    values = []
    for film in shown:
        pixels_FHWC = torch.from_numpy(film.frames).float().div(127.5).sub(1)
        features_FE = cast.sight.encode(pixels_FHWC.permute(0, 3, 1, 2))
        values.append(FrameFeatures(features_FE[None], film.fps).resampled(frames, rate))
    return FrameFeatures(torch.cat(values), rate)
