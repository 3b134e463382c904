"""Caching of sounds: through the codec, captions through text encoders, films through a sight, into shards.

Each shard is made from its own sounds alone, in batches that begin with it: a job that was interrupted and
goes on writes the same bytes as one that was not.

Legend: B batch, C channels, N samples, F pictures, H rows, W columns, E width of their features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from moviegen_audio import AudioCodec, downmix
from moviegen_core import AudioClip
from torch import Tensor

from moviegen_runtime.data.caching import ahead, alike, encode_prompts
from moviegen_runtime.data.sound_latents import (
    MEMBERS,
    SOUND_KIND,
    SeenFrames,
    SoundProperties,
    SoundSample,
    write_sound,
)
from moviegen_runtime.data.sounds import CaptionedSound, SoundSource
from moviegen_runtime.data.source import CaptionedClip
from moviegen_runtime.data.writing import begin, finish, write_shard
from moviegen_runtime.media.reading import fitted
from moviegen_runtime.text import FrozenTextEncoder

SOUNDS_PER_SHARD = 500
_BATCH_SECONDS = 64  # of sound that go through the codec at once


class FrozenSight(Protocol):
    """An encoder of single pictures that is not trained on."""

    @property
    def width(self) -> int:
        """E, width of the features."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the pictures that it reads."""
        ...

    @property
    def weights_hash(self) -> str:
        """SHA-256 of all files that its features depend on, as hexadecimal digits."""
        ...

    def encode(self, pictures: Tensor) -> Tensor:
        """Features (F, E) of pictures (F, 3, H, W) in [-1, 1]."""
        ...


@dataclass(frozen=True)
class SoundJob:
    """What is to be cached, and by what.

    Args:
        source: the sounds.
        origin: what the source is, told precisely enough that another one is refused when the job goes on.
        num_sounds: how many of them, from the first on.
        codec: the codec.
        codec_hash: hash of its weights (`moviegen_core.weights_hash`).
        encoders: of the captions, at least one, each with another name.
        sight: whose features of the films' pictures are kept; None: films are left out.
        device: where codec and sight are.

    Raises:
        ValueError: the source has fewer sounds, or the encoders are none or not distinct.
    """

    source: SoundSource
    origin: str
    num_sounds: int
    codec: AudioCodec
    codec_hash: str
    encoders: tuple[FrozenTextEncoder, ...]
    sight: FrozenSight | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 1 <= self.num_sounds <= len(self.source):
            raise ValueError(f"the source has {len(self.source)} sounds, so it cannot give {self.num_sounds}")
        if not self.encoders or len({encoder.name for encoder in self.encoders}) < len(self.encoders):
            raise ValueError("give at least one text encoder, and each of them once")

    @property
    def properties(self) -> SoundProperties:
        """What the set says of itself."""
        return SoundProperties(
            codec=self.codec_hash,
            sample_rate=self.codec.sample_rate,
            hop=self.codec.hop,
            encoders={encoder.name: encoder.width for encoder in self.encoders},
            encoder_hashes={encoder.name: encoder.weights_hash for encoder in self.encoders},
            features=None if self.sight is None else (self.sight.weights_hash, self.sight.width),
            source=self.origin,
            num_sounds=self.num_sounds,
        )


def sounds_done(job: SoundJob, folder: Path) -> int:
    """Begin a set, or find how many sounds an interrupted job has dealt with.

    Raises:
        ValueError: the folder holds something else, or was begun by another job.
    """
    return min(_begin(job, folder) * SOUNDS_PER_SHARD, job.num_sounds)


def cache_sounds(
    job: SoundJob, folder: Path, on_sounds: Callable[[int], None], on_skip: Callable[[str], None]
) -> int:
    """Cache all sounds that `sounds_done` does not count as done.

    Args:
        on_sounds: told after each batch how many sounds it had.
        on_skip: told of each sound whose caption an encoder cannot read; it is left out.

    Returns:
        How many samples the whole set has.

    Raises:
        ValueError: as `sounds_done`, a sound that the codec cannot read or that has no picture where some are
            to be kept, or no caption could be read.
    """
    shards = -(-job.num_sounds // SOUNDS_PER_SHARD)
    for number in range(_begin(job, folder), shards):
        indices = range(number * SOUNDS_PER_SHARD, min((number + 1) * SOUNDS_PER_SHARD, job.num_sounds))
        samples = _encode(job, indices, on_sounds, on_skip)
        write_shard(folder, number, map(write_sound, samples))
    for encoder in job.encoders:
        encoder.free()
    count = finish(folder, shards)
    if count == 0:
        raise ValueError("nothing was cached: the text encoder reads none of the captions")
    return count


def _begin(job: SoundJob, folder: Path) -> int:
    properties = job.properties
    return begin(folder, SOUND_KIND, MEMBERS, properties.model_dump(mode="json"))


@dataclass(frozen=True)
class _Made:
    """What is kept of a sound once its latent is there."""

    latent: Tensor
    caption: str
    num_samples: int
    seen: SeenFrames | None


@torch.inference_mode()
def _encode(
    job: SoundJob, indices: range, on_sounds: Callable[[int], None], on_skip: Callable[[str], None]
) -> Iterator[SoundSample]:
    made: list[_Made] = []
    for batch in ahead(_batches(job.source, indices)):
        made += _encode_batch(job, batch, indices[len(made)])
        on_sounds(len(batch))
    captions = [each.caption for each in made]
    states = {encoder.name: encode_prompts(encoder, captions) for encoder in job.encoders}
    for index, each in zip(indices, made, strict=True):
        text = {name: of_caption[each.caption] for name, of_caption in states.items()}
        problem = next((found for found in text.values() if isinstance(found, str)), None)
        if problem is not None:
            on_skip(f"sound {index} ({each.caption!r}): {problem}")
            continue
        tensors = {name: found for name, found in text.items() if isinstance(found, Tensor)}
        yield SoundSample(each.latent, tensors, each.caption, each.num_samples, each.seen)


def _encode_batch(job: SoundJob, batch: Sequence[CaptionedSound], first: int) -> list[_Made]:
    rate = batch[0].rate
    if rate != job.codec.sample_rate:
        raise ValueError(
            f"the codec reads {job.codec.sample_rate} samples a second, sound {first} has {rate}: an option "
            "of its source may change it"
        )
    samples_BCN = torch.from_numpy(np.stack([sound.samples for sound in batch])).to(job.device)
    latents = job.codec.encode(downmix(AudioClip(samples_BCN, rate))).values.to("cpu", torch.float16)
    return [
        _Made(latent, sound.heard.text(), sound.samples.shape[1], _seen(job, sound.picture, first + place))
        for place, (latent, sound) in enumerate(zip(latents, batch, strict=True))
    ]


def _seen(job: SoundJob, picture: CaptionedClip | None, index: int) -> SeenFrames | None:
    if job.sight is None:
        return None
    if picture is None:
        raise ValueError(f"sound {index} has no film: keep nothing of films, or tell the source to give them")
    small = torch.from_numpy(np.stack([fitted(frame, job.sight.size) for frame in picture.frames]))
    pixels_F3HW = small.to(job.device).permute(0, 3, 1, 2).float().mul_(2 / 255).sub_(1)
    return SeenFrames(job.sight.encode(pixels_F3HW).to("cpu", torch.float16), picture.fps)


def _batches(source: SoundSource, indices: range) -> Iterator[list[CaptionedSound]]:
    """Sounds of one shape and rate that follow each other, as many as go through the codec at once."""
    return alike(
        (source[index] for index in indices),
        key=lambda sound: (sound.samples.shape, sound.rate),
        most=lambda sound: _BATCH_SECONDS * sound.rate // sound.samples.shape[1],
    )
