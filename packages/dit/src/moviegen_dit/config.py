"""Architecture of the video transformer and its presets (paper, section 3.1.3 and Table 1)."""

from __future__ import annotations

from math import prod
from typing import Annotated, Self

from moviegen_core import ArchConfig, VideoShape
from pydantic import Field, model_validator

_PatchSide = Annotated[int, Field(ge=1, le=16)]
_TableLength = Annotated[int, Field(ge=1, le=1024)]


class TextEncoderSpec(ArchConfig):
    """A text encoder whose token states the transformer attends to.

    Args:
        name: what `TextContext.encoder` says.
        width: width of its token states.
    """

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_-]*$")
    width: int = Field(ge=1, le=16384)


class VideoDiTConfig(ArchConfig):
    """Sizes of a video transformer.

    Args:
        width: of the residual stream; a multiple of `heads`.
        layers: number of blocks.
        heads: of self-attention and of cross-attention, with width / heads channels each.
        mlp_width: hidden width of the SwiGLU feed-forward.
        text_encoders: every encoder that a prompt is read by, in the order of their tokens.
        positions: lengths of the three position tables (frames, rows, columns), in patches.
        patch: latent frames, rows and columns of a token.
        latent_channels: channels of the latent.
        condition_channels: channels of another latent of the same shape that the model is shown as well,
            concatenated to the noisy one; 0: none.
    """

    width: int = Field(ge=1, le=16384)
    layers: int = Field(ge=1, le=128)
    heads: int = Field(ge=1, le=256)
    mlp_width: int = Field(ge=1, le=65536)
    text_encoders: tuple[TextEncoderSpec, ...] = Field(min_length=1, max_length=8)
    positions: tuple[_TableLength, _TableLength, _TableLength]
    patch: tuple[_PatchSide, _PatchSide, _PatchSide] = (1, 2, 2)
    latent_channels: int = Field(default=16, ge=1, le=256)
    condition_channels: int = Field(default=0, ge=0, le=256)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width must be a multiple of heads: {self.heads} does not divide {self.width}")
        names = [encoder.name for encoder in self.text_encoders]
        if len(set(names)) < len(names):
            raise ValueError(f"text encoders must have different names, not {', '.join(names)}")
        return self

    @property
    def head_width(self) -> int:
        """Channels of a head."""
        return self.width // self.heads

    @property
    def patch_channels(self) -> int:
        """Latent values of a token (64 in the paper, Fig. 8)."""
        return self.latent_channels * prod(self.patch)

    @property
    def input_channels(self) -> int:
        """Channels of what the model reads: the noisy latent's, then those it is shown."""
        return self.latent_channels + self.condition_channels

    @property
    def max_latent_shape(self) -> VideoShape:
        """Largest latent that the position tables reach."""
        frames, height, width = (
            length * side for length, side in zip(self.positions, self.patch, strict=True)
        )
        return VideoShape(frames, height, width)

    def token_shape(self, latent: VideoShape) -> VideoShape:
        """Tokens along each axis of a latent.

        Raises:
            ValueError: an extent is not a multiple of its patch side, or beyond its position table.
        """
        tokens = []
        for name, side, length in zip(("frames", "height", "width"), self.patch, self.positions, strict=True):
            extent = getattr(latent, name)
            if extent % side or extent > length * side:
                raise ValueError(
                    f"latent {name} must be a multiple of {side} and at most {length * side}, not {extent}"
                )
            tokens.append(extent // side)
        return VideoShape(*tokens)


class UpsamplerConfig(VideoDiTConfig):
    """Sizes of a spatial upsampler (section 3.1.5): a video transformer that is shown the enlarged video.

    Its position table along time is as long as its window: longer latents go through in several.

    Args:
        factor: rows and columns that it makes of one.
    """

    condition_channels: int = Field(default=16, ge=1, le=256)
    factor: int = Field(default=2, ge=2, le=8)

    @model_validator(mode="after")
    def _shown_are_latents(self) -> Self:
        if self.condition_channels != self.latent_channels:
            raise ValueError(
                f"condition_channels must be those of a latent, {self.latent_channels}, "
                f"not {self.condition_channels}"
            )
        return self

    @property
    def window(self) -> int:
        """Latent frames that go through together (14 in the paper)."""
        return self.max_latent_shape.frames


# Widths of the three encoders from Fig. 8.
_PAPER_ENCODERS = (
    TextEncoderSpec(name="ul2", width=4096),
    TextEncoderSpec(name="metaclip", width=1280),
    TextEncoderSpec(name="byt5", width=1472),
)
# 768 px and 256 frames are 32 x 48 x 48 tokens; the tables were doubled for aspect ratios and grown with the
# resolution (section 3.2.2), which gives 96. The printed text gives the factors only.
_PAPER_POSITIONS = (32, 96, 96)


def _paper(width: int, layers: int, heads: int, mlp_width: int) -> VideoDiTConfig:
    return VideoDiTConfig(
        width=width,
        layers=layers,
        heads=heads,
        mlp_width=mlp_width,
        text_encoders=_PAPER_ENCODERS,
        positions=_PAPER_POSITIONS,
    )


_PRESETS = {
    "30b": _paper(width=6144, layers=48, heads=48, mlp_width=16384),  # Table 1
    "5b": _paper(width=3072, layers=32, heads=24, mlp_width=8192),  # Table 8 names the size only; ours
    "1b": _paper(width=1536, layers=24, heads=16, mlp_width=4096),  # ours, for one device
    # Ours: about 120 training samples of 32 tokens a second on two CPU cores; up to 32 frames of 128 x 128.
    "miniature": VideoDiTConfig(
        width=256,
        layers=6,
        heads=4,
        mlp_width=640,
        text_encoders=(TextEncoderSpec(name="minilm", width=384),),
        positions=(4, 8, 8),
    ),
}


def preset(name: str) -> VideoDiTConfig:
    """The architecture of a published or shipped model.

    Raises:
        ValueError: there is no preset of that name.
    """
    if name not in _PRESETS:
        raise ValueError(f"no video transformer preset is called {name!r}; there are {', '.join(_PRESETS)}")
    return _PRESETS[name]


_UPSAMPLER_PRESETS = {
    # "7B parameters" and clips of 14 frames are all that is printed; the sizes are ours. Tables for 1920
    # pixels either way: 120 patches of 2 latent rows of 8 pixels.
    "7b": UpsamplerConfig(
        width=4096,
        layers=26,
        heads=32,
        mlp_width=10240,
        text_encoders=_PAPER_ENCODERS,
        positions=(14, 120, 120),
    ),
    # The miniature's transformer, from which its training may start; up to 128 x 128 pixels.
    "miniature": UpsamplerConfig.model_validate(
        {**_PRESETS["miniature"].model_dump(), "positions": (14, 8, 8), "condition_channels": 16}
    ),
}


def upsampler_preset(name: str) -> UpsamplerConfig:
    """The architecture of a spatial upsampler.

    Raises:
        ValueError: there is no preset of that name.
    """
    if name not in _UPSAMPLER_PRESETS:
        raise ValueError(f"no upsampler preset is called {name!r}; there are {', '.join(_UPSAMPLER_PRESETS)}")
    return _UPSAMPLER_PRESETS[name]
