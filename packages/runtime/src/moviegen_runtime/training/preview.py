"""A picture of what an autoencoder does to clips, or to sounds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from moviegen_audio import MelSpectrogram
from moviegen_core import replacing
from PIL import Image
from torch import Tensor

_COLUMNS = 4
_WINDOW_SECONDS, _BANDS = 0.064, 96
_QUIET, _LOUD = -4.0, 1.0  # decimal logarithms of magnitudes in mel bands: white and black


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


def save_spectrograms(
    sounds: Sequence[Tensor], reconstructions: Sequence[Tensor], rate: int, path: Path
) -> None:
    """Write a PNG of mel spectrograms, each sound's above its reconstruction's; louder is darker.

    Args:
        sounds, reconstructions: (N,) each, of one length a pair; shorter pairs leave the right side white.
        rate: samples a second.
    """
    window = round(_WINDOW_SECONDS * rate / 4) * 4
    spectrogram = MelSpectrogram(rate, window, _BANDS)
    rows = [
        _shades(spectrogram(sound.cpu()[None])[0])
        for pair in zip(sounds, reconstructions, strict=True)
        for sound in pair
    ]
    sheet = torch.full((len(rows) * _BANDS, max(row.shape[1] for row in rows)), 255, dtype=torch.uint8)
    for place, row in enumerate(rows):
        sheet[place * _BANDS : (place + 1) * _BANDS, : row.shape[1]] = row
    with replacing(path) as aside:
        Image.fromarray(sheet.numpy()).save(aside)


def _shades(magnitudes_MT: Tensor) -> Tensor:
    """(M, T) uint8, high bands on top."""
    level = (magnitudes_MT.flip(0).clamp_min(1e-9).log10() - _QUIET) / (_LOUD - _QUIET)
    return (255 * (1 - level.clamp(0, 1))).round().to(torch.uint8)
