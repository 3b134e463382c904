"""Reading and writing the codec's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from moviegen_core import load_pretrained, locate_pretrained, save_pretrained

from moviegen_audio.codec import AudioCodec
from moviegen_audio.config import AudioCodecConfig

CODEC_KIND = "audio-codec"
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


def _locate(model: str, source: Path | str) -> Path:
    folders = sorted((_WEIGHTS / model).glob("*"))
    return locate_pretrained(source, {path.name: path for path in folders if path.is_dir()})
