"""What happens to clips before they are upsampled in training: second-order degradation (paper, section
3.1.5, after Wang et al. 2021), each round of blur, change of size, noise and compression.

Every clip of a batch has degradations of its own, the same for all its frames but for the noise.

Legend: B clips, T frames, H rows, W columns, N planes, K side of a kernel.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from moviegen_runtime.training.upsampler_recipe import Degradation, DegradationRound

_MODES = ("area", "bilinear", "bicubic")
_BLOCK = 8

# Quantisation of luminance and chrominance that JPEG recommends (ITU-T T.81, annex K), by rows.
_LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)


def degraded(clips: Tensor, size: tuple[int, int], plan: Degradation, draw: torch.Generator) -> Tensor:
    """Clips of a smaller size that have gone through two rounds.

    Args:
        clips: (B, 3, T, H, W) in [-1, 1].
        size: rows and columns of the result.
        draw: generator on the CPU; what is drawn depends on it and on the shapes alone.

    Returns:
        (B, 3, T, *size) in [-1, 1].
    """
    return torch.stack([_degraded(clip.transpose(0, 1), size, plan, draw) for clip in clips]).transpose(1, 2)


def _degraded(x_T3HW: Tensor, size: tuple[int, int], plan: Degradation, draw: torch.Generator) -> Tensor:
    twice = _even(0, 1, draw) < plan.second_share
    x_T3HW = _round(x_T3HW, plan.first, None if twice else size, draw)
    return _round(x_T3HW, plan.second, size, draw) if twice else x_T3HW


def _round(
    x_T3HW: Tensor, plan: DegradationRound, size: tuple[int, int] | None, draw: torch.Generator
) -> Tensor:
    """One round; a size that is given is reached just before the compression."""
    x_T3HW = blurred(x_T3HW, _even(*plan.blur, draw), _even(*plan.blur, draw), _even(0, math.pi, draw))
    scale = _even(*plan.scale, draw)
    sides = tuple(max(round(side * scale), _BLOCK) for side in x_T3HW.shape[2:])
    x_T3HW = _resized(x_T3HW, (sides[0], sides[1]), draw)
    x_T3HW = _noisy(x_T3HW, _even(*plan.noise, draw), draw)
    if size is not None:
        x_T3HW = _resized(x_T3HW, size, draw)
    quality = round(_even(*plan.quality, draw))
    return compressed(x_T3HW.clamp(-1, 1), quality).clamp(-1, 1)


def blurred(x_T3HW: Tensor, first: float, second: float, angle: float) -> Tensor:
    """Blurred by a Gaussian with two standard deviations in pixels, the first along `angle` in radians."""
    radius = max(math.ceil(3 * max(first, second)), 1)
    along = torch.arange(-radius, radius + 1, dtype=torch.float64)
    x, y = along[None, :], along[:, None]
    u = x * math.cos(angle) + y * math.sin(angle)
    v = y * math.cos(angle) - x * math.sin(angle)
    tiny = 1e-3  # a deviation of 0 leaves the picture as it is
    kernel_KK = torch.exp(-((u / max(first, tiny)) ** 2 + (v / max(second, tiny)) ** 2) / 2)
    kernel_KK = (kernel_KK / kernel_KK.sum()).to(x_T3HW)
    planes_N1HW = F.pad(x_T3HW, (radius,) * 4, mode="replicate").flatten(0, 1)[:, None]
    return F.conv2d(planes_N1HW, kernel_KK[None, None]).view_as(x_T3HW)


def compressed(x_T3HW: Tensor, quality: int) -> Tensor:
    """What is left of frames in [-1, 1] after JPEG of a quality from 1 to 100, colour at full resolution."""
    H, W = x_T3HW.shape[2:]
    padded = F.pad(x_T3HW, (0, -W % _BLOCK, 0, -H % _BLOCK), mode="replicate")
    dct, to_ycc = _dct().to(padded), _to_ycc().to(padded)
    table_C11PQ = _tables(quality).to(padded)[:, None, None]
    # Colours around 0 instead of 128 to begin with: that is JPEG's shift of the luminance.
    ycc_T3HW = torch.einsum("kc,tchw->tkhw", to_ycc, padded * 127.5 - 0.5)
    blocks = rearrange(ycc_T3HW, "t c (h p) (w q) -> t c h w p q", p=_BLOCK, q=_BLOCK)
    kept = (dct @ blocks @ dct.mT / table_C11PQ).round() * table_C11PQ
    ycc_T3HW = rearrange(dct.mT @ kept @ dct, "t c h w p q -> t c (h p) (w q)")
    rgb_T3HW = torch.einsum("kc,tchw->tkhw", torch.linalg.inv(to_ycc), ycc_T3HW)
    return ((rgb_T3HW + 0.5) / 127.5)[:, :, :H, :W]


def _resized(x_T3HW: Tensor, size: tuple[int, int], draw: torch.Generator) -> Tensor:
    mode = _MODES[int(torch.randint(len(_MODES), (), generator=draw))]
    if mode == "area":
        return F.interpolate(x_T3HW, size, mode=mode)
    return F.interpolate(x_T3HW, size, mode=mode, align_corners=False, antialias=True)


def _noisy(x_T3HW: Tensor, deviation: float, draw: torch.Generator) -> Tensor:
    """Noise of every frame: of each channel by itself for half of the clips, or else of all three alike."""
    T, _, H, W = x_T3HW.shape
    channels = 1 if _even(0, 1, draw) < 0.5 else 3
    noise = torch.randn(T, channels, H, W, generator=draw).to(x_T3HW)
    return x_T3HW + 2 * deviation * noise


def _even(low: float, high: float, draw: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=draw, dtype=torch.float64))


@cache
def _dct() -> Tensor:
    """(8, 8) float64 orthonormal cosine transform: row k holds the wave of k half periods."""
    k = torch.arange(_BLOCK, dtype=torch.float64)
    waves = torch.cos(math.pi / _BLOCK * (k[None] + 0.5) * k[:, None]) * math.sqrt(2 / _BLOCK)
    waves[0] /= math.sqrt(2)
    return waves


@cache
def _to_ycc() -> Tensor:
    """(3, 3) float64 from red, green, blue to luminance and two colour differences (JFIF)."""
    return torch.tensor(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
        dtype=torch.float64,
    )


def _tables(quality: int) -> Tensor:
    """(3, 8, 8) steps of quantisation at a quality, as libjpeg scales them."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = torch.tensor([_LUMINANCE, _CHROMINANCE, _CHROMINANCE]).view(3, _BLOCK, _BLOCK)
    return ((tables * scale + 50) // 100).clamp(1, 255)
