"""A picture of what an autoencoder does to clips."""

from __future__ import annotations

from pathlib import Path

import torch
from moviegen_core import replacing
from PIL import Image
from torch import Tensor

_COLUMNS = 4


def save_comparison(clips: Tensor, reconstructions: Tensor, path: Path) -> None:
    """Write a PNG with two rows a clip, the clip above its reconstruction, at four times spread over it.

    Args:
        clips, reconstructions: (B, 3, T, H, W) in [-1, 1].
    """
    T = clips.shape[2]
    times = torch.linspace(0, T - 1, min(_COLUMNS, T)).round().long()
    pairs = torch.stack([clips[:, :, times], reconstructions[:, :, times]], dim=1)
    rows = pairs.permute(0, 1, 4, 3, 5, 2)  # (B, 2, H, T, W, 3)
    sheet = rows.reshape(rows.shape[0] * 2 * rows.shape[2], -1, 3)
    pixels = ((sheet.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    with replacing(path) as aside:
        Image.fromarray(pixels.cpu().numpy()).save(aside)
