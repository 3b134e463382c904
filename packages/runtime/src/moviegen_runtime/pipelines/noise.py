"""The noise that clips grow from."""

from __future__ import annotations

import torch
from moviegen_core import VideoShape
from torch import Tensor


def noise(seed: int, channels: int, latent: VideoShape) -> Tensor:
    """(1, C, T, H, W) float32 standard normal, drawn on the CPU: it depends on the seed alone."""
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(1, channels, latent.frames, latent.height, latent.width, generator=generator)
