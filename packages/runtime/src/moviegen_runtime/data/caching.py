"""Caching of latents: clips through the autoencoder, captions through the text encoders, once, into shards.

Each shard is made from its own clips alone, in batches that begin with it: a job that was interrupted and
goes on writes the same bytes as one that was not.

Legend: B batch, C channels, T frames, H rows, W columns, S tokens, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from moviegen_core import VideoAutoencoder, VideoClip
from torch import Tensor

from moviegen_runtime.data.latents import (
    LATENT_KIND,
    LATENT_MEMBERS,
    LatentProperties,
    LatentSample,
    write_latent,
)
from moviegen_runtime.data.source import CaptionedClip, ClipSource
from moviegen_runtime.data.writing import begin, finish, write_shard
from moviegen_runtime.text import FrozenTextEncoder, with_fps

CLIPS_PER_SHARD = 1000
ItemT = TypeVar("ItemT")
BatchT = TypeVar("BatchT")
# Pixels that go through the autoencoder at once: 16 clips of 16 x 64 x 64. More was no faster on a CPU.
_BATCH_PIXELS = 1 << 20


@dataclass(frozen=True)
class LatentJob:
    """What is to be cached, and by what.

    Args:
        source: the clips.
        origin: what the source is, told precisely enough that another one is refused when the job goes on.
        num_clips: how many of them, from the first on.
        tae: the autoencoder.
        tae_hash: hash of its weights (`moviegen_core.weights_hash`).
        encoders: of the captions, at least one, each with another name.
        device: where the autoencoder runs.

    Raises:
        ValueError: the source has fewer clips, or the encoders are none or not distinct.
    """

    source: ClipSource
    origin: str
    num_clips: int
    tae: VideoAutoencoder
    tae_hash: str
    encoders: tuple[FrozenTextEncoder, ...]
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 1 <= self.num_clips <= len(self.source):
            raise ValueError(f"the source has {len(self.source)} clips, so it cannot give {self.num_clips}")
        if not self.encoders or len({encoder.name for encoder in self.encoders}) < len(self.encoders):
            raise ValueError("give at least one text encoder, and each of them once")

    @property
    def properties(self) -> LatentProperties:
        """What the set says of itself."""
        stride = self.tae.stride
        return LatentProperties(
            tae=self.tae_hash,
            stride=(stride.time, stride.height, stride.width),
            encoders={encoder.name: encoder.width for encoder in self.encoders},
            encoder_hashes={encoder.name: encoder.weights_hash for encoder in self.encoders},
            source=self.origin,
            num_clips=self.num_clips,
        )


def clips_done(job: LatentJob, folder: Path) -> int:
    """Begin a set, or find how many clips an interrupted job has dealt with.

    Raises:
        ValueError: the folder holds something else, or was begun by another job.
    """
    return min(_begin(job, folder) * CLIPS_PER_SHARD, job.num_clips)


def cache_latents(
    job: LatentJob, folder: Path, on_clips: Callable[[int], None], on_skip: Callable[[str], None]
) -> int:
    """Cache all clips that `clips_done` does not count as done.

    Args:
        on_clips: told after each batch how many clips it had.
        on_skip: told of each clip whose caption an encoder cannot read; it is left out.

    Returns:
        How many samples the whole set has.

    Raises:
        ValueError: as `clips_done`, a clip that the autoencoder cannot encode, or no caption could be read.
    """
    shards = -(-job.num_clips // CLIPS_PER_SHARD)
    for number in range(_begin(job, folder), shards):
        indices = range(number * CLIPS_PER_SHARD, min((number + 1) * CLIPS_PER_SHARD, job.num_clips))
        samples = _encode(job, indices, on_clips, on_skip)
        write_shard(folder, number, map(write_latent, samples))
    for encoder in job.encoders:
        encoder.free()
    count = finish(folder, shards)
    if count == 0:
        raise ValueError("nothing was cached: the text encoder reads none of the captions")
    return count


def _begin(job: LatentJob, folder: Path) -> int:
    return begin(folder, LATENT_KIND, LATENT_MEMBERS, job.properties.model_dump(mode="json"))


@torch.inference_mode()
def _encode(
    job: LatentJob, indices: range, on_clips: Callable[[int], None], on_skip: Callable[[str], None]
) -> Iterator[LatentSample]:
    latents: list[Tensor] = []
    clips: list[_Told] = []
    for batch in ahead(_batches(job.source, indices)):
        values = job.tae.encode(_to_video(batch).to(job.device)).values
        latents.extend(values.to("cpu", torch.float16))
        clips.extend(_Told(clip.caption, clip.fps, len(clip.frames)) for clip in batch)
        on_clips(len(batch))
    prompts = [clip.prompt for clip in clips]
    states = {encoder.name: encode_prompts(encoder, prompts) for encoder in job.encoders}
    for index, latent, clip in zip(indices, latents, clips, strict=True):
        text = {name: of_prompt[clip.prompt] for name, of_prompt in states.items()}
        problem = next((found for found in text.values() if isinstance(found, str)), None)
        if problem is not None:
            on_skip(f"clip {index} ({clip.caption!r}): {problem}")
            continue
        tensors = {name: found for name, found in text.items() if isinstance(found, Tensor)}
        yield LatentSample(latent, tensors, clip.caption, clip.fps, clip.num_frames)


@dataclass(frozen=True)
class _Told:
    """What is kept of a clip once its latent is there."""

    caption: str
    fps: float
    num_frames: int

    @property
    def prompt(self) -> str:
        return with_fps(self.caption, self.fps)


def _batches(source: ClipSource, indices: range) -> Iterator[list[CaptionedClip]]:
    """Clips of one shape and rate that follow each other, as many as go through the autoencoder at once."""
    return alike(
        (source[index] for index in indices),
        key=lambda clip: (clip.frames.shape, clip.fps),
        most=lambda clip: _BATCH_PIXELS // max(1, clip.frames[..., 0].size),
    )


def alike(
    items: Iterable[ItemT], key: Callable[[ItemT], Hashable], most: Callable[[ItemT], int]
) -> Iterator[list[ItemT]]:
    """Items of one key that follow each other, in batches of at least 1 and of `most` of their first."""
    for _, same in groupby(items, key=key):
        batch: list[ItemT] = []
        for item in same:
            batch.append(item)
            if len(batch) >= most(batch[0]):
                yield batch
                batch = []
        if batch:
            yield batch


def ahead(batches: Iterator[BatchT]) -> Iterator[BatchT]:
    """The same batches, each made by a thread while the one before it is encoded."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def _to_video(clips: Sequence[CaptionedClip]) -> VideoClip:
    """Clips of one shape as (B, 3, T, H, W) in [-1, 1]."""
    frames_BTHWC = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    return VideoClip(frames_BTHWC.permute(0, 4, 1, 2, 3).float().mul_(2 / 255).sub_(1), clips[0].fps)


def encode_prompts(encoder: FrozenTextEncoder, prompts: Sequence[str]) -> dict[str, Tensor | str]:
    """States (S, D) in float16 of each distinct prompt, or why the encoder cannot read it.

    Raises:
        ValueError: the encoder itself cannot be used.
    """
    found: dict[str, Tensor | str] = {}
    readable = []
    for prompt in dict.fromkeys(prompts):
        try:
            encoder.check(prompt)
        except ValueError as error:
            found[prompt] = str(error)
        else:
            readable.append(prompt)
    if readable:
        context = encoder.encode(readable)
        states = context.embeddings.to("cpu", torch.float16)
        for prompt, of_prompt, length in zip(readable, states, context.lengths.tolist(), strict=True):
            found[prompt] = of_prompt[:length]
    return found
