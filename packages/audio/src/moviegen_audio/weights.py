"""Reading and writing the weights of codec, transformer, and what sees for it."""

from __future__ import annotations

from pathlib import Path

import torch
from moviegen_core import AttentionFn, load_pretrained, locate_pretrained, save_pretrained
from moviegen_dit import sdpa_attention

from moviegen_audio.codec import AudioCodec
from moviegen_audio.config import AudioCodecConfig, AudioDiTConfig, SightConfig
from moviegen_audio.model import AudioDiT
from moviegen_audio.sight import Sight

CODEC_KIND = "audio-codec"
DIT_KIND = "audio-dit"
SIGHT_KIND = "audio-sight"
_WEIGHTS = Path(__file__).parent / "weights"


def locate_codec(source: Path | str) -> Path:
    """The folder of a shipped codec, of a folder, or of a Hub id.

    Raises:
        ValueError: there are no weights of that name.
    """
    return _locate("codec", source)


def load_codec(source: Path | str) -> AudioCodec:
    """Read a codec in float32 on the CPU, in evaluation mode.

    Args:
        source: name of a shipped codec, a folder, or a Hub id.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """
    return load_pretrained(
        locate_codec(source), kind=CODEC_KIND, config_type=AudioCodecConfig, build=AudioCodec
    )


def save_codec(codec: AudioCodec, folder: Path | str, dtype: torch.dtype | None = None) -> None:
    """Write a codec's weights and architecture to a folder.

    Raises:
        ValueError: a weight is not finite in `dtype`.
    """
    save_pretrained(codec, codec.config, folder, kind=CODEC_KIND, dtype=dtype)


def locate_dit(source: Path | str) -> Path:
    """The folder of a shipped audio transformer, of a folder, or of a Hub id.

    Raises:
        ValueError: there are no weights of that name.
    """
    return _locate("dit", source)


def load_dit(source: Path | str, attention: AttentionFn = sdpa_attention) -> AudioDiT:
    """Read an audio transformer in float32 on the CPU, in evaluation mode.

    Args:
        source: name of a shipped audio transformer, a folder, or a Hub id.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """
    return load_pretrained(
        locate_dit(source),
        kind=DIT_KIND,
        config_type=AudioDiTConfig,
        build=lambda config: AudioDiT(config, attention),
    )


def save_dit(model: AudioDiT, folder: Path | str, dtype: torch.dtype | None = None) -> None:
    """Write an audio transformer's weights and architecture to a folder.

    Raises:
        ValueError: a weight is not finite in `dtype`.
    """
    save_pretrained(model, model.config, folder, kind=DIT_KIND, dtype=dtype)


def locate_sight(source: Path | str) -> Path:
    """The folder of a shipped sight, of a folder, or of a Hub id.

    Raises:
        ValueError: there are no weights of that name.
    """
    return _locate("sight", source)


def load_sight(source: Path | str) -> Sight:
    """Read what sees for an audio transformer, in float32 on the CPU, in evaluation mode.

    Args:
        source: name of a shipped sight, a folder, or a Hub id.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """
    return load_pretrained(locate_sight(source), kind=SIGHT_KIND, config_type=SightConfig, build=Sight)


def save_sight(sight: Sight, folder: Path | str, dtype: torch.dtype | None = None) -> None:
    """Write the weights and architecture of what sees for an audio transformer to a folder.

    Raises:
        ValueError: a weight is not finite in `dtype`.
    """
    save_pretrained(sight, sight.config, folder, kind=SIGHT_KIND, dtype=dtype)


def _locate(model: str, source: Path | str) -> Path:
    folders = sorted((_WEIGHTS / model).glob("*"))
    return locate_pretrained(source, {path.name: path for path in folders if path.is_dir()})
