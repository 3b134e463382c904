"""Architecture of the codec and its presets (paper, section 6.1.1)."""

from __future__ import annotations

from math import prod
from typing import Annotated, Self

from moviegen_core import ArchConfig
from pydantic import Field, model_validator

_Rate = Annotated[int, Field(ge=2, le=64)]


class AudioCodecConfig(ArchConfig):
    """Sizes of a codec: DAC (Kumar et al. 2023, arXiv 2306.06546) with a Gaussian bottleneck.

    Args:
        sample_rate: samples a second of the sounds that it reads and makes.
        rates: by how much each level of the encoder lowers the rate; the decoder raises it in reverse.
        encoder_width: channels of the encoder's first level; each level doubles them.
        decoder_width: channels of the decoder's first level; each level halves them, so it must be divisible
            by 2 to the number of levels.
        hidden_width: channels between encoder and bottleneck, and between bottleneck and decoder.
        latent_channels: channels of the latent.
    """

    sample_rate: int = Field(ge=1000, le=384_000)
    rates: tuple[_Rate, ...] = Field(min_length=1, max_length=8)
    encoder_width: int = Field(ge=1, le=1024)
    decoder_width: int = Field(ge=2, le=8192)
    hidden_width: int = Field(ge=1, le=8192)
    latent_channels: int = Field(ge=1, le=1024)

    @model_validator(mode="after")
    def _widths_halve(self) -> Self:
        if self.decoder_width % 2 ** len(self.rates):
            raise ValueError(
                f"decoder_width must be a multiple of {2 ** len(self.rates)}, since each of "
                f"{len(self.rates)} levels halves it: it is {self.decoder_width}"
            )
        return self

    @property
    def hop(self) -> int:
        """Samples that a latent frame stands for."""
        return prod(self.rates)


_CODECS = {
    # 48 kHz, 25 Hz and 128 channels are the paper's; the widths, which it does not print, are those of Meta's
    # later public DAC-VAE.
    "paper": AudioCodecConfig(
        sample_rate=48_000,
        rates=(2, 8, 10, 12),
        encoder_width=64,
        decoder_width=1536,
        hidden_width=1024,
        latent_channels=128,
    ),
    # Ours: 16 kHz at the paper's 25 latent frames a second, in 6 MB, for two CPU cores.
    "miniature": AudioCodecConfig(
        sample_rate=16_000,
        rates=(4, 4, 5, 8),
        encoder_width=16,
        decoder_width=256,
        hidden_width=256,
        latent_channels=32,
    ),
}


def codec_preset(name: str) -> AudioCodecConfig:
    """The architecture of a published or shipped codec.

    Raises:
        ValueError: there is no preset of that name.
    """
    if name not in _CODECS:
        raise ValueError(f"no codec preset is called {name!r}; there are {', '.join(_CODECS)}")
    return _CODECS[name]
