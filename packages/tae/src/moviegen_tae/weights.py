"""Reading and writing the autoencoder's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from moviegen_core import load_pretrained, locate_pretrained, save_pretrained

from moviegen_tae.config import TAEConfig
from moviegen_tae.model import TAE

KIND = "tae"
_WEIGHTS = Path(__file__).parent / "weights"


def locate(source: Path | str) -> Path:
    """The folder of "clips" or "miniature", of a folder, or of a Hub id.

    Raises:
        ValueError: there are no weights of that name.
    """
    return locate_pretrained(
        source, {path.name: path for path in sorted(_WEIGHTS.glob("*")) if path.is_dir()}
    )


def from_pretrained(source: Path | str) -> TAE:
    """Read an autoencoder in float32 on the CPU, in evaluation mode.

    Args:
        source: "clips" or "miniature", a folder, or a Hub id.

    Raises:
        ValueError: there are no such weights, or they are damaged.
    """
    return load_pretrained(locate(source), kind=KIND, config_type=TAEConfig, build=TAE)


def save(tae: TAE, folder: Path | str, dtype: torch.dtype | None = None) -> None:
    """Write an autoencoder's weights and architecture to a folder.

    Raises:
        ValueError: a weight is not finite in `dtype`.
    """
    save_pretrained(tae, tae.config, folder, kind=KIND, dtype=dtype)
