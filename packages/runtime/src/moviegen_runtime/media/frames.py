"""From a model's frames to the bytes that are shown, and back: clamped and rounded once, here.

Legend: T frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from moviegen_core import VideoClip
from numpy.typing import NDArray

# Clips whose larger side is below this are enlarged so that they can be looked at.
_SMALL = 128
_SMALL_SCALE = 4
_GAP = 2


def to_uint8(clip: VideoClip) -> list[NDArray[np.uint8]]:
    """Each clip of a batch as (T, H, W, 3) uint8: [-1, 1] becomes 0..255, what lies outside is clamped.

    Raises:
        ValueError: a value is not finite.
    """
    if not bool(torch.isfinite(clip.frames).all()):
        raise ValueError("the clip holds values that are not finite: take --dtype float32, or another model")
    scaled = (clip.frames.detach().to("cpu", torch.float32).clamp(-1.0, 1.0) + 1.0) * 127.5
    frames_BTHWC = scaled.round().to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()
    return list(frames_BTHWC.numpy())


def to_clip(frames: NDArray[np.uint8], fps: float) -> VideoClip:
    """Frames (T, H, W, 3) as a batch of one: 0..255 becomes [-1, 1]."""
    pixels_THWC = torch.from_numpy(frames).float().div_(127.5).sub_(1)
    return VideoClip(pixels_THWC.permute(3, 0, 1, 2)[None], fps)


def default_display_scale(height: int, width: int) -> int:
    """4 for clips whose larger side is under 128 pixels, 1 for all others."""
    return _SMALL_SCALE if max(height, width) < _SMALL else 1


def enlarged(frames: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Frames (..., H, W, 3) with every pixel shown as a square of `scale` pixels.

    No smoothing filter (our choice): what is seen is what the model made, and taking every `scale`-th pixel
    gives it back.
    """
    return frames.repeat(scale, axis=-3).repeat(scale, axis=-2)


def contact_sheet(clips: Sequence[NDArray[np.uint8]], columns: int = 8) -> NDArray[np.uint8]:
    """One picture (H, W, 3) of clips of one size: a row a clip, frames spread evenly from first to last.

    Args:
        clips: each (T, H, W, 3).
        columns: frames of each clip, or all of them if there are fewer.
    """
    rows = [_row(clip, columns) for clip in clips]
    gap = np.full((_GAP, rows[0].shape[1], 3), 255, dtype=np.uint8)
    pieces = [piece for row in rows for piece in (gap, row)][1:]
    return np.concatenate(pieces, axis=0)


def _row(clip: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    picked = np.linspace(0, len(clip) - 1, min(columns, len(clip))).round().astype(int)
    gap = np.full((clip.shape[1], _GAP, 3), 255, dtype=np.uint8)
    pieces = [piece for index in picked for piece in (gap, clip[index])][1:]
    return np.concatenate(pieces, axis=1)
