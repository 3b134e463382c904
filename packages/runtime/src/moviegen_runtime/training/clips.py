"""Batches of clips for the autoencoder: from a source by name or from shards to tensors.

Legend: B batch, T frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from moviegen_core import VideoClip
from torch import Tensor

from moviegen_runtime.data.clips import ShardedClips
from moviegen_runtime.data.source import ClipSource, open_source
from moviegen_runtime.training.recipe import ClipData, Crops


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one shape as they are stored.

    Args:
        frames: (B, T, H, W, 3) uint8.
        fps: frames a second.
    """

    frames: Tensor
    fps: float

    def to(self, device: torch.device) -> ClipBatch:
        """The same batch on another device."""
        return ClipBatch(self.frames.to(device), self.fps)

    def clip(self) -> VideoClip:
        """Frames (B, 3, T, H, W) in [-1, 1]."""
        return VideoClip(self.frames.permute(0, 4, 1, 2, 3).float().mul_(2 / 255).sub_(1), self.fps)


def open_clips(data: ClipData) -> ClipSource:
    """The clips that a recipe names.

    Raises:
        ValueError: there is no such source, or the shards are damaged.
    """
    if data.shards is not None:
        return ShardedClips(data.shards)
    assert data.source is not None
    return open_source(data.source, data.options)


def collate_clips(source: ClipSource) -> Callable[[Sequence[int]], ClipBatch]:
    """A function from indices to their clips as one batch."""

    def collate(indices: Sequence[int]) -> ClipBatch:
        clips = [source[index] for index in indices]
        shapes = {clip.frames.shape for clip in clips}
        if len(shapes) > 1:
            raise ValueError(f"clips of one training must have one shape, not {sorted(shapes)}")
        return ClipBatch(torch.from_numpy(np.stack([clip.frames for clip in clips])), clips[0].fps)

    return collate


def random_crops(batch: ClipBatch, crops: Crops, draw: torch.Generator) -> ClipBatch:
    """A cut of every clip, all of one size that is drawn, each from its own place.

    Args:
        batch: clips of at least the largest side; shorter ones than the drawn length keep theirs.
        draw: generator on the CPU.
    """
    T, H, W = batch.frames.shape[1:4]

    def choose(count: int) -> int:
        return int(torch.randint(count, (), generator=draw))

    side = crops.sides[choose(len(crops.sides))]
    length = min(crops.frames[choose(len(crops.frames))], T)
    cuts = []
    for clip in batch.frames:
        t, y, x = (choose(spare + 1) for spare in (T - length, H - side, W - side))
        cuts.append(clip[t : t + length, y : y + side, x : x + side])
    return ClipBatch(torch.stack(cuts), batch.fps)
