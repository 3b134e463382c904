"""An autoencoder against linear codes of the same size, on what neither was fitted on.

Legend: T frames, H rows, W columns, S side of a square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from moviegen_core import VideoClip
from moviegen_runtime.media.frames import contact_sheet, to_uint8
from moviegen_runtime.metrics import Comparison, psnr, ssim
from moviegen_tae import TAE, LinearCode, Tiling, decode_tiled, encode_tiled, principal_components
from numpy.typing import NDArray
from torch import Tensor

from moviegen_clips.linear import cosine_code
from moviegen_clips.material import open_shelf
from moviegen_clips.source import Only, open_clips

SMALL = 128
"""Side in pixels of the held-out films' second size."""
_FPS = 24.0  # the autoencoder does not look at it
_PIECE = 64  # frames of a film in memory at once
_SHEET_CLIPS = 6

AUTOENCODER, COMPONENTS = "autoencoder", "16 principal components"

Frames = NDArray[np.uint8]
Coder = Callable[[Frames], Frames]


@dataclass(frozen=True)
class Row:
    """How well one code brings one kind of material back.

    Args:
        psnr: in dB; of clips the mean over them, of a film that of all its frames.
        ssim: likewise.
    """

    material: str
    code: str
    psnr: float
    ssim: float


def coders(tae: TAE, tiling: Tiling, cache: Path, fit_clips: int, fit_size: int) -> dict[str, Coder]:
    """The autoencoder, the principal components of training clips, and the cosines, in this order."""
    source = open_clips(cache=str(cache), num_clips=fit_clips, size=fit_size)
    clips = (_scaled(source[i].frames) for i in range(fit_clips))
    components = principal_components(clips, tae.latent_channels)
    return {
        AUTOENCODER: lambda frames: _through_tae(tae, tiling, frames),
        COMPONENTS: lambda frames: _through_linear(components, frames),
        "16 cosines": lambda frames: _through_linear(cosine_code(), frames),
    }


def rendered(codes: dict[str, Coder], cache: Path, only: Only, num_clips: int) -> Iterator[Row]:
    """Held-out animations before held-out pictures, or such pictures alone: 16 frames of 128 x 128."""
    source = open_clips(cache=str(cache), split="held_out", num_clips=num_clips, only=only)
    clips = [source[i].frames for i in range(num_clips)]
    for name, code in codes.items():
        pairs = [(clip, code(clip)) for clip in clips]
        yield Row(
            f"held-out {only}, {num_clips} clips",
            name,
            float(np.mean([psnr(*pair) for pair in pairs])),
            float(np.mean([ssim(*pair) for pair in pairs])),
        )


def films(codes: dict[str, Coder], cache: Path) -> Iterator[Row]:
    """The two films that nothing was trained on, at their own size and as a square of 128 x 128."""
    shelf = open_shelf(cache, "films", "held_out")
    for index, (name, shape) in enumerate(zip(shelf.names, shelf.shapes, strict=True)):
        T, H, W = shape[:3]
        side = min(H, W)
        top, left = (H - side) // 2, (W - side) // 2
        square = (slice(top, top + side), slice(left, left + side))
        for small in (False, True):
            compared_by = {code: Comparison() for code in codes}
            for first in range(0, T, _PIECE):
                part = slice(first, min(first + _PIECE, T))
                frames = _small(shelf.read(index, part, *square)) if small else shelf.read(index, part)
                for code, comparison in compared_by.items():
                    comparison.add(frames, codes[code](frames))
            size = f"{SMALL} x {SMALL}" if small else f"{W} x {H}"
            for code, comparison in compared_by.items():
                yield Row(f"{name}, {size}", code, comparison.psnr, comparison.ssim)


def compared(codes: dict[str, Coder], cache: Path) -> Frames:
    """A contact sheet: true clips, and below each what every code brings back of it."""
    source = open_clips(cache=str(cache), split="held_out", num_clips=_SHEET_CLIPS, only="animations")
    clips = [source[i].frames for i in range(_SHEET_CLIPS)]
    shelf = open_shelf(cache, "films", "held_out")
    for index, (T, H, W, _) in enumerate(shelf.shapes):
        side = min(H, W)
        top, left, first = (H - side) // 2, (W - side) // 2, T // 2
        rows, columns = slice(top, top + side), slice(left, left + side)
        clips.append(_small(shelf.read(index, slice(first, first + 16), rows, columns)))
        near = min(SMALL, side)
        top, left = (H - near) // 3, (W - near) // 3
        rows, columns = slice(top, top + near), slice(left, left + near)
        clips.append(_small(shelf.read(index, slice(first, first + 16), rows, columns)))
    shown = [frames for clip in clips for frames in (clip, *(code(clip) for code in codes.values()))]
    return contact_sheet(shown, columns=6)


def table(rows: list[Row]) -> str:
    """The rows as Markdown, each autoencoder's with what it is ahead of the principal components."""
    lines = ["| material | code | PSNR, dB | SSIM | ahead by, dB |", "|---|---|---|---|---|"]
    floors = {row.material: row.psnr for row in rows if row.code == COMPONENTS}
    for row in rows:
        ahead = f"{row.psnr - floors[row.material]:+.2f}" if row.code == AUTOENCODER else ""
        lines.append(f"| {row.material} | {row.code} | {row.psnr:.2f} | {row.ssim:.3f} | {ahead} |")
    return "\n".join(lines)


def _through_tae(tae: TAE, tiling: Tiling, frames: Frames) -> Frames:
    """Edges are repeated up to whole latent positions."""
    H, W = frames.shape[1:3]
    clip = F.pad(_scaled(frames)[None], (0, -W % 8, 0, -H % 8, 0, 0), mode="replicate")
    latent = encode_tiled(tae, VideoClip(clip, _FPS), tiling)
    given = decode_tiled(tae, latent, tiling).frames[..., :H, :W]
    return to_uint8(VideoClip(given, _FPS))[0]


def _through_linear(code: LinearCode, frames: Frames) -> Frames:
    T, H, W = frames.shape[:3]
    given = code.decode(code.encode(_scaled(frames)[None]))[:, :, :T, :H, :W]
    return to_uint8(VideoClip(given, _FPS))[0]


def _scaled(frames: Frames) -> Tensor:
    """(T, H, W, 3) of 8 bits as (3, T, H, W) in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2).float() / 127.5 - 1


def _small(square: Frames) -> Frames:
    pictures = torch.from_numpy(np.ascontiguousarray(square)).permute(0, 3, 1, 2).float()
    small = F.interpolate(pictures, (SMALL, SMALL), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
