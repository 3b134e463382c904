"""Reading and writing the weights of the video transformer and of the spatial upsampler."""

from __future__ import annotations

from pathlib import Path

import torch
from moviegen_core import AttentionFn, load_pretrained, locate_pretrained, save_pretrained

from moviegen_dit.attention import sdpa_attention
from moviegen_dit.config import UpsamplerConfig, VideoDiTConfig
from moviegen_dit.model import VideoDiT
from moviegen_dit.upsampler import SpatialUpsampler

KIND = "dit"
UPSAMPLER_KIND = "upsampler"
_WEIGHTS = Path(__file__).parent / "weights"


def locate(source: Path | str) -> Path:
    """The folder of a video transformer: of "miniature", of a folder, or of a Hub id.

    Raises:
        ValueError: there are no weights of that name.
    """
    return _locate(KIND, source)


def from_pretrained(source: Path | str, attention: AttentionFn = sdpa_attention) -> VideoDiT:
    """Read a video transformer in float32 on the CPU, in evaluation mode.

    Args:
        source: "miniature", a folder, or a Hub id.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """
    return load_pretrained(
        locate(source),
        kind=KIND,
        config_type=VideoDiTConfig,
        build=lambda config: VideoDiT(config, attention),
    )


def save(model: VideoDiT, folder: Path | str, dtype: torch.dtype | None = None) -> None:
    """Write a video transformer's weights and architecture to a folder.

    Raises:
        ValueError: a weight is not finite in `dtype`.
    """
    save_pretrained(model, model.config, folder, kind=KIND, dtype=dtype)


def locate_upsampler(source: Path | str) -> Path:
    """The folder of a spatial upsampler: of "miniature", of a folder, or of a Hub id.

    Raises:
        ValueError: there are no weights of that name.
    """
    return _locate(UPSAMPLER_KIND, source)


def upsampler_from_pretrained(
    source: Path | str, attention: AttentionFn = sdpa_attention
) -> SpatialUpsampler:
    """Read a spatial upsampler in float32 on the CPU, in evaluation mode.

    Args:
        source: "miniature", a folder, or a Hub id.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """
    return load_pretrained(
        locate_upsampler(source),
        kind=UPSAMPLER_KIND,
        config_type=UpsamplerConfig,
        build=lambda config: SpatialUpsampler(config, attention),
    )


def save_upsampler(upsampler: SpatialUpsampler, folder: Path | str, dtype: torch.dtype | None = None) -> None:
    """Write a spatial upsampler's weights and architecture to a folder.

    Raises:
        ValueError: a weight is not finite in `dtype`.
    """
    save_pretrained(upsampler, upsampler.config, folder, kind=UPSAMPLER_KIND, dtype=dtype)


def _locate(kind: str, source: Path | str) -> Path:
    shipped = {path.name: path for path in sorted((_WEIGHTS / kind).glob("*")) if path.is_dir()}
    return locate_pretrained(source, shipped)
