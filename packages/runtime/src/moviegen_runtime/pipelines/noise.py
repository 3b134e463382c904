"""The noise that clips grow from, and that of their upsampling."""

from __future__ import annotations

import torch
from moviegen_core import VideoShape
from torch import Tensor


def noise(seed: int, channels: int, latent: VideoShape) -> Tensor:
    """(1, C, T, H, W) float32 standard normal, drawn on the CPU: it depends on the seed alone."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(1, channels, latent.frames, latent.height, latent.width, generator=generator)


def upsampling_seed(seed: int) -> int:
    """Seed of the upsampler's noise, which must not be what the clip grew from.

    torch's generators on the CPU read the lower 32 bits of a seed alone, so it is one of these that differs.
    """
    return seed ^ (1 << 31)
