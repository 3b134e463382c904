"""Architectures of the codec and of the transformer, and their presets (paper, section 6.1)."""

from __future__ import annotations

from math import prod
from typing import Annotated, Self

from moviegen_core import ArchConfig
from moviegen_dit import TextEncoderSpec
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


class SightConfig(ArchConfig):
    """Sizes of a small network that watches a film for what can be heard; ours.

    Args:
        side: rows and columns of the pictures that it reads; a multiple of 2 to the number of levels.
        channels: of each level; each halves rows and columns, then looks once more around each place.
        width: of the features of a picture, and of what is seen around a frame of sound.
        frames: frames of sound whose pictures are seen together, so that motion is seen; odd.
        bands: of the timbre of a sound, which it is trained to foresee.
        frame_rate: frames of sound a second.
    """

    side: int = Field(ge=8, le=512)
    channels: tuple[Annotated[int, Field(ge=4, le=1024, multiple_of=4)], ...] = Field(
        min_length=1, max_length=8
    )
    width: int = Field(ge=1, le=4096)
    frames: int = Field(ge=1, le=63)
    bands: int = Field(ge=1, le=1024)
    frame_rate: float = Field(default=25.0, gt=0, le=1000)

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.side % 2 ** len(self.channels):
            raise ValueError(
                f"side must be a multiple of {2 ** len(self.channels)}, since each of "
                f"{len(self.channels)} levels halves it: it is {self.side}"
            )
        if self.frames % 2 == 0:
            raise ValueError(f"frames must be odd, not {self.frames}")
        return self


class AudioDiTConfig(ArchConfig):
    """Sizes of an audio transformer.

    Args:
        width: of the residual stream; `heads` times an even number.
        layers: number of blocks.
        heads: of self-attention and of cross-attention, with width / heads channels each.
        mlp_width: hidden width of the feed-forward.
        text_encoder: whose token states it attends to.
        video_width: width of the features of a video frame.
        sight: what makes the features of a video frame; None: they come from elsewhere.
        latent_channels: channels of the codec's latent.
        frame_rate: latent frames a second.
    """

    width: int = Field(ge=2, le=16384)
    layers: int = Field(ge=1, le=128)
    heads: int = Field(ge=1, le=256)
    mlp_width: int = Field(ge=1, le=65536)
    text_encoder: TextEncoderSpec
    video_width: int = Field(ge=1, le=16384)
    sight: SightConfig | None = None
    latent_channels: int = Field(ge=1, le=1024)
    frame_rate: float = Field(default=25.0, gt=0, le=1000)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(
                f"width must be heads times an even number: {self.width} is not, for {self.heads} heads"
            )
        sight = self.sight
        if sight is not None and (sight.width, sight.frame_rate) != (self.video_width, self.frame_rate):
            raise ValueError(
                f"sight must be video_width wide and see frame_rate frames a second, {self.video_width} and "
                f"{self.frame_rate:g}, not {sight.width} and {sight.frame_rate:g}"
            )
        return self

    @property
    def head_width(self) -> int:
        """Channels of a head."""
        return self.width // self.heads


def _paper(width: int, layers: int, heads: int) -> AudioDiTConfig:
    return AudioDiTConfig(
        width=width,
        layers=layers,
        heads=heads,
        mlp_width=4 * width,
        text_encoder=TextEncoderSpec(name="t5", width=768),  # T5-base; Fig. 28 prints 756
        video_width=1024,  # Long-prompt MetaCLIP, Fig. 28
        latent_channels=128,
    )


_TRANSFORMERS = {
    "13b": _paper(width=4608, layers=36, heads=36),  # section 6.1.2, where heads are not printed
    "3b": _paper(width=2560, layers=28, heads=20),  # the paper names the size only; ours
    "300m": _paper(width=1024, layers=18, heads=8),  # ours; the paper's is of another architecture
    # Ours: for latents of the miniature codec, in 10 MB; two hours of two CPU cores pay for no more. It sees
    # half a second at once: at eight frames a second these are four, two before what happens and two behind.
    "miniature": AudioDiTConfig(
        width=192,
        layers=6,
        heads=3,
        mlp_width=768,
        text_encoder=TextEncoderSpec(name="minilm", width=384),
        video_width=128,
        sight=SightConfig(side=64, channels=(16, 32, 64, 128), width=128, frames=13, bands=21),
        latent_channels=32,
    ),
}


def sight_preset(name: str) -> SightConfig:
    """The architecture of what sees for a published or shipped audio transformer.

    Raises:
        ValueError: there is no preset of that name, or its features come from elsewhere.
    """
    sight = dit_preset(name).sight
    if sight is None:
        raise ValueError(
            f"the audio transformer {name!r} has no sight of its own: it reads features of a CLIP"
        )
    return sight


def dit_preset(name: str) -> AudioDiTConfig:
    """The architecture of a published or shipped audio transformer.

    Raises:
        ValueError: there is no preset of that name.
    """
    if name not in _TRANSFORMERS:
        known = ", ".join(_TRANSFORMERS)
        raise ValueError(f"no audio transformer preset is called {name!r}; there are {known}")
    return _TRANSFORMERS[name]
